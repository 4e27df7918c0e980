"""Reads a YAML file into plain Python values, and remembers on which line each of them stands."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar
from ruamel.yaml.constructor import DuplicateKeyError, RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.scalarbool import ScalarBoolean
from ruamel.yaml.tokens import ScalarToken

from scalix.launch.home import IN_CHECKOUT
from scalix.launch.problems import CONFIG_FILE, LaunchError, Problem, Wrong, read_text, shown_path

Step = str | int
"""A key of a mapping or an index of a list."""
_MOST_VALUES = 500_000


class _ExactConstructor(RoundTripConstructor):
    """Reads fractions as `Decimal`, because money must not pass through binary fractions."""

    def construct_exact_float(self, node: ScalarNode) -> Decimal:
        text = str(node.value).replace("_", "").casefold()
        if text.lstrip("+-") in (".inf", ".nan"):
            return Decimal(text.replace(".", ""))
        return Decimal(text) if ":" not in text else Decimal(str(self.construct_yaml_float(node)))

    def construct_word(self, node: ScalarNode) -> Any:
        """Take `yes` and `on` for true, as LiteLLM's reader does, but not a bare `y`."""
        return str(node.value) if len(node.value) == 1 else self.construct_yaml_bool(node)


_ExactConstructor.add_constructor("tag:yaml.org,2002:float", _ExactConstructor.construct_exact_float)
_ExactConstructor.add_constructor("tag:yaml.org,2002:bool", _ExactConstructor.construct_word)


class YamlSource:
    """A YAML file. `data` is plain: dict, list, str, int, bool, Decimal, None; dates are strings.

    `files` are those that it was read from. `steps` in its methods are the keys and indices that lead to a value.
    """

    def __init__(self, path: Path, tree: Any) -> None:
        self.path = path
        self.files = [path]
        self._tree = tree
        self._others: dict[tuple[Step, ...], tuple[YamlSource, tuple[Step, ...]]] = {}
        self.data: Any = _plain(tree)

    def line(self, steps: Iterable[Step]) -> int:
        """Return the line, from 1, on which the value at `steps` begins; that of its closest parent where it has
        none."""
        node = self._tree
        line = 0
        for step in steps:
            places = getattr(getattr(node, "lc", None), "data", None) or {}
            if step in places:
                line = places[step][0]
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                break
        return line + 1

    def at(self, steps: Iterable[Step]) -> Any:
        """Return the value at `steps`; `None` where there is none."""
        value = self.data
        for step in steps:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def mapping(self, *steps: Step) -> dict[Any, Any]:
        """Return the mapping at `steps`, which may be changed; an empty one where there is none."""
        value = self.at(steps)
        return value if isinstance(value, dict) else {}

    def listed(self, *steps: Step) -> list[Any]:
        """Return the list at `steps`, which may be changed; an empty one where there is none."""
        value = self.at(steps)
        return value if isinstance(value, list) else []

    def names(self, *steps: Step) -> list[str]:
        """Return the keys of the mapping at `steps` that are text."""
        return [name for name in self.mapping(*steps) if isinstance(name, str)]

    def take(self, *steps: Step) -> Any:
        """Remove the value at `steps` from the data and return it; `None` where there is none."""
        return self.mapping(*steps[:-1]).pop(steps[-1], None)

    def problem(self, steps: Iterable[Step], what: str, fix: str) -> Problem:
        """Return a problem with the value at `steps`."""
        return Problem(self.where(steps), what, fix)

    def where(self, steps: Iterable[Step]) -> str:
        """Return `file:line` of the value at `steps`, in whichever file it stands."""
        steps = tuple(steps)
        for place, (other, its_place) in self._others.items():
            if steps[: len(place)] == place:
                return other.where((*its_place, *steps[len(place) :]))
        return f"{shown_path(self.path)}:{self.line(steps)}"

    def take_in(self, other: "YamlSource") -> None:
        """Merge the sections of another file into this one: lists are joined, other values are replaced."""
        self.files += other.files
        for name, value in other.data.items():
            mine = self.data.get(name)
            if isinstance(mine, list) and isinstance(value, list):
                for index, item in enumerate(value):
                    self._others[name, len(mine)] = (other, (name, index))
                    mine.append(item)
            else:
                self._others = {place: known for place, known in self._others.items() if place[0] != name}
                self._others[(name,)] = (other, (name,))
                self.data[name] = value

    def tagged(self) -> Iterable[tuple[tuple[Step, ...], str]]:
        """Yield the place and the name of each tag such as `!ENV`; tags have no meaning here."""
        return _tagged(self._tree, ())


def load_yaml(path: Path) -> YamlSource:
    """Read `path` by the rules of YAML 1.1, as LiteLLM does. Raises `LaunchError` with the file and the line."""
    name = shown_path(path)
    if path.is_dir():
        raise LaunchError.of(name, "this is a directory, not a config file", "give the YAML file in it")
    try:
        text = read_text(
            path,
            CONFIG_FILE,
            "--config or SCALIX_CONFIG"
            if IN_CHECKOUT
            else "--config or SCALIX_CONFIG, or write an example with `scalix init`",
        )
    except Wrong as wrong:
        raise LaunchError.of(name, wrong.what, wrong.fix) from None
    yaml = YAML(typ="rt", pure=True)
    yaml.version = (1, 1)
    yaml.Constructor = _ExactConstructor
    try:
        tree = yaml.load(text)
        if _values(tree, {}) > _MOST_VALUES:
            what = f"it has more than {_MOST_VALUES:,} values when its aliases are followed"
            raise LaunchError.of(name, what, "write fewer aliases of aliases")
    except DuplicateKeyError as error:
        mark = error.problem_mark
        key = str(error.problem or "").partition('"')[2].partition('"')[0]
        what = f"the key '{key}' is there twice"
        raise LaunchError.of(f"{name}:{mark.line + 1}", what, "keep one of the two") from None
    except MarkedYAMLError as error:
        quote = _unclosed_quote(text, error)
        if quote is not None:
            what = "the quote that begins in this line has no end there"
            raise LaunchError.of(f"{name}:{quote + 1}", what, "write the end quote") from None
        mark = error.problem_mark or error.context_mark
        place = f"{name}:{mark.line + 1}" if mark else name
        column = f", column {mark.column + 1}" if mark else ""
        what = " ".join(str(error.problem or error.context or "malformed").split())
        fix = "correct the indentation, quotes or brackets there"
        raise LaunchError.of(place, f"this is not valid YAML ({what}{column})", fix) from None
    except (YAMLError, ValueError, RecursionError) as error:
        what = " ".join(str(error).split())[:200] or type(error).__name__
        raise LaunchError.of(name, f"this is not valid YAML ({what})", "correct the file") from None
    return YamlSource(path, tree)


def _unclosed_quote(text: str, error: MarkedYAMLError) -> int | None:
    """Return the line, from 0, of a quote that was probably not closed: one that reaches to where the error is."""
    if error.context and "quoted scalar" in error.context:
        return int(error.context_mark.line)
    last = None
    try:
        for token in YAML(pure=True).scan(text):
            if isinstance(token, ScalarToken) and token.style in ("'", '"'):
                last = token
            if error.problem_mark is None or token.start_mark.line > error.problem_mark.line:
                break
    except YAMLError:
        pass
    if last is None or last.start_mark.line == last.end_mark.line or error.problem_mark is None:
        return None
    return int(last.start_mark.line) if last.end_mark.line == error.problem_mark.line else None


def _values(value: Any, known: dict[int, int]) -> int:
    """How many values there are when aliases are followed."""
    if isinstance(value, str | bytes) or not isinstance(value, Mapping | Sequence | set):
        return 1
    if id(value) not in known:
        inner = value.values() if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_values(item, known) for item in inner)
    return known[id(value)]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {_plain(key) if isinstance(key, str | int) else str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, str):
        return str(value)
    if isinstance(value, bool | ScalarBoolean):
        return bool(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, TaggedScalar):
        # It is reported as a whole; what it holds must not be taken for a secret in plain text as well.
        return "none"
    if isinstance(value, Sequence | set) and not isinstance(value, bytes):
        return [_plain(item) for item in value]
    return value


def _tagged(value: Any, steps: tuple[Step, ...]) -> Iterable[tuple[tuple[Step, ...], str]]:
    if isinstance(value, TaggedScalar):
        yield steps, str(value.tag.value)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tagged(item, (*steps, key))
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for index, item in enumerate(value):
            yield from _tagged(item, (*steps, index))
