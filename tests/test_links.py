"""Every relative link of a document leads to a file that is there, and its anchor to a heading of that file."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
_FENCED = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+)$", re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors that a forge gives to the headings of a page; the second heading of a name gets `-1`."""
    found: dict[str, int] = {}
    for heading in _HEADING.findall(_FENCED.sub("", text)):
        shown = _LINK.sub(lambda link: link[0][1 : link[0].index("]")], heading).replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")
        found[anchor] = found.get(anchor, -1) + 1
    return {anchor if not again else f"{anchor}-{again}" for anchor, most in found.items() for again in range(most + 1)}


@cache
def anchors_of(path: Path) -> set[str]:
    return anchors(path.read_text(encoding="utf-8"))


def links(text: str) -> Iterator[str]:
    """The relative links of a page, outside of code."""
    for target in _LINK.findall(_CODE.sub("code", _FENCED.sub("", text))):
        if not re.match(r"[a-z]+:", target):
            yield target


def broken(page: Path, text: str) -> list[str]:
    """The links that lead nowhere."""
    found = []
    for target in links(text):
        name, _, anchor = target.partition("#")
        path = page.parent / name if name else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in anchors_of(path)):
            found.append(target)
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_of_a_page_leads_somewhere(page: str) -> None:
    assert broken(ROOT / page, (ROOT / page).read_text(encoding="utf-8")) == []


def test_a_missing_file_and_a_missing_heading_are_found() -> None:
    text = "[a](docs/gone.md), [b](docs/limits.md#gone), [c](docs/limits.md#figures), `[d](gone.md)`, [e](#gone)"
    assert broken(ROOT / "README.md", text) == ["docs/gone.md", "docs/limits.md#gone", "#gone"]


def test_every_page_is_reached_from_the_index() -> None:
    reached: set[Path] = set()
    waiting = [ROOT / "docs" / "index.md"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        targets = links(page.read_text(encoding="utf-8")) if page.suffix == ".md" else ()
        found = {(page.parent / target.partition("#")[0]).resolve() for target in targets if target[0] != "#"}
        waiting += [path for path in found - reached if path.is_file()]
    assert set((ROOT / "docs").glob("*.md")) <= reached


@pytest.mark.parametrize("page", PAGES)
def test_a_list_begins_after_a_blank_line(page: str) -> None:
    """Without one, the site shows it as a part of the paragraph before."""
    text = _FENCED.sub("```", (ROOT / page).read_text(encoding="utf-8"))
    assert re.findall(r"^[^\s\-#].*\n- .*", text, re.MULTILINE) == []
