"""The documentation as a site: where links lead once the pages are in one folder, and what `make docs` complains of.

`make docs` itself builds with packages of its own, which the tests' environment does not have.
"""

import tomllib
from pathlib import Path

import pytest

from tools.site import ROOT, pages, problems, rewritten, stage


def test_links_between_the_top_and_docs_lead_to_the_pages_of_the_site() -> None:
    names = pages(ROOT)
    readme, limits = ROOT / "README.md", ROOT / "docs" / "limits.md"
    assert rewritten("[a](docs/limits.md#figures)", readme, names) == "[a](limits.md#figures)"
    assert rewritten("[a](../README.md#tiers), [b](keys.md)", limits, names) == "[a](start.md#tiers), [b](keys.md)"
    assert (
        rewritten("[a](https://example.com), [b](#figures)", limits, names) == "[a](https://example.com), [b](#figures)"
    )


def test_what_is_not_in_the_site_is_named_and_not_linked() -> None:
    assert (
        rewritten("see [the test](../tests/test_site.py)", ROOT / "docs" / "limits.md", pages(ROOT)) == "see the test"
    )


def test_every_page_of_the_index_is_in_the_navigation_once(tmp_path: Path) -> None:
    stage(ROOT, tmp_path)
    settings = tomllib.loads((tmp_path / "zensical.toml").read_text(encoding="utf-8"))
    shown = [
        page
        for section in settings["project"]["nav"][2:]
        for pages_of_section in section.values()
        for entry in pages_of_section
        for page in entry.values()
    ]
    assert len(shown) == len(set(shown)) > 15
    for page in ["index.md", "start.md", *shown]:
        assert (tmp_path / "docs" / page).is_file()


GOOD = '<h2 id="here">x</h2><a href="#here">a</a><a href="b.html#there">b</a><a href="https://example.com">c</a>'


@pytest.mark.parametrize(
    ("html", "wrong"),
    [
        ("", []),
        ('<script src="https://example.com/x.js">', ["a.html loads https://example.com/x.js"]),
        ('<link href="//example.com/x.css">', ["a.html loads //example.com/x.css"]),
        ('<pre class="mermaid">', ["a.html loads https://a-host-of-mermaid"]),
        ('<a href="gone.html">', ["a.html leads to gone.html, which is not there"]),
        ('<a href="b.html#gone">', ["a.html leads to b.html#gone, which is not there"]),
    ],
)
def test_foreign_hosts_and_dead_links_are_found(html: str, wrong: list[str], tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text(GOOD + html)
    (tmp_path / "b.html").write_text('<h2 id="there">x</h2>')
    assert problems(tmp_path) == wrong


def test_a_font_that_a_style_sheet_loads_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.css").write_text("@font-face { src: url(https://example.com/f.woff2) }")
    assert problems(tmp_path) == ["a.css loads https://example.com/f.woff2"]
