"""From a path to its rows, and from a row's path and names to a path."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes, urlencode

from scalix.pages.rows import PageRow


class Found(NamedTuple):
    """The rows of a path by method, the names in it, and the path without them, for logs."""

    methods: Mapping[str, PageRow]
    names: Mapping[str, str]
    shown: str


class PathTable:
    """All rows by their paths. An exact part comes before a `{name}`."""

    def __init__(self, rows: Iterable[PageRow]) -> None:
        self.rows = tuple(rows)
        self._by_path: dict[str, dict[str, PageRow]] = {}
        for row in self.rows:
            self._by_path.setdefault(row.path, {})[row.method] = row
        ordered = sorted(self._by_path, key=lambda path: [part.startswith("{") for part in path.split("/")])
        self._parts = [(path, path.split("/")) for path in ordered]

    def find(self, raw_path: bytes) -> Found | None:
        """The rows of a path as it was sent; `None` where there is none."""
        sent = raw_path.decode("latin-1").split("/")
        for path, parts in self._parts:
            if len(parts) == len(sent):
                names = _names(parts, sent)
                if names is not None:
                    shown = "/".join("*" if part.startswith("{") else part for part in parts)
                    return Found(self._by_path[path], names, shown)
        return None

    def page_of(self, act: PageRow) -> PageRow | None:
        """The page that an act belongs to."""
        return self._by_path.get(act.of, {}).get("GET")


def path_to(template: str, /, *names: str, **query: str | int | None) -> str:
    """A path with its `{name}`s filled in, in their order, and the parameters that are not empty."""
    parts, left = [], list(names)
    for part in template.split("/"):
        parts.append(_quoted(left.pop(0)) if part.startswith("{") else part)
    given = {name.rstrip("_"): value for name, value in query.items() if value not in (None, "")}
    return "/".join(parts) + (f"?{urlencode(given)}" if given else "")


def _quoted(name: str) -> str:
    """A name as one part of a path. Browsers resolve `.` and `..`, also percent-encoded, so that such a name, and one
    that looks like it was kept from that, has a `~` before it."""
    return quote(f"~{name}" if name in (".", "..") or name.startswith("~") else name, safe="")


def _names(parts: list[str], sent: list[str]) -> Mapping[str, str] | None:
    names: dict[str, str] = {}
    for part, text in zip(parts, sent, strict=True):
        if not part.startswith("{"):
            if part != text:
                return None
            continue
        try:
            name = unquote_to_bytes(text).decode()
        except UnicodeDecodeError:
            return None
        if not name:
            return None
        names[part[1:-1]] = name[1:] if name.startswith("~") else name
    return names
