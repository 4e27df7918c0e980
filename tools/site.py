"""Builds the documentation as a site in `site/`: `make docs`. It loads nothing from another host.

README.md and some other pages are at the top of the repository, the others in docs/. For the site all are copied into
one folder, and their links rewritten.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "site"
_LINK = re.compile(r"\[([^\]]*)\]\(([^)\s#:]+)(#[^)\s]*)?\)")
_SETTINGS = """
[project]
site_name = "Scalix gateway"
docs_dir = "docs"
site_dir = "site"
use_directory_urls = false
nav = [{nav}]

[project.theme]
font = false
palette = [
    {{media = "(prefers-color-scheme: light)", scheme = "default"}},
    {{media = "(prefers-color-scheme: dark)", scheme = "slate"}},
]

[project.extra]
generator = false

[project.markdown_extensions.tables]
[project.markdown_extensions.toc]
slugify = {{object = "pymdownx.slugs.slugify", kwds = {{case = "lower"}}}}
[project.markdown_extensions.pymdownx.highlight]
[project.markdown_extensions.pymdownx.superfences]
"""


def pages(root: Path) -> dict[Path, str]:
    """Each file of the documentation, and its name in the site."""
    found = {path: path.relative_to(root / "docs").as_posix() for path in (root / "docs").rglob("*.*")}
    return found | {path: path.name.lower().replace("readme", "start") for path in root.glob("*.md")}


def rewritten(text: str, page: Path, names: Mapping[Path, str]) -> str:
    """A page's text with its links rewritten for the site; links to other files become plain words."""

    def link(found: re.Match[str]) -> str:
        words, target, anchor = found.groups()
        name = names.get((page.parent / target).resolve())
        if name is None:
            return str(words)
        return f"[{words}]({os.path.relpath(name, Path(names[page]).parent)}{anchor or ''})"

    return _LINK.sub(link, text)


def stage(root: Path, folder: Path) -> None:
    """Write the sources of the site into a folder."""
    names = pages(root)
    for path, name in names.items():
        target = folder / "docs" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".md":
            target.write_text(rewritten(path.read_text(encoding="utf-8"), path, names), encoding="utf-8")
        else:
            shutil.copy(path, target)
    settings = _SETTINGS.format(nav=", ".join(_navigation(root, names)))
    (folder / "zensical.toml").write_text(settings, encoding="utf-8")


def _navigation(root: Path, names: Mapping[Path, str]) -> Iterator[str]:
    """The index's own sections and links, in its order."""
    yield '"index.md", {"Start here" = "start.md"}'
    index = root / "docs" / "index.md"
    for section in index.read_text(encoding="utf-8").split("\n## ")[1:]:
        title, _, rest = section.partition("\n")
        targets = {(index.parent / target).resolve(): words for words, target, _ in _LINK.findall(rest)}
        shown = [f'{{"{words}" = "{names[path]}"}}' for path, words in targets.items() if path.suffix == ".md"]
        yield f'{{"{title}" = [{", ".join(shown)}]}}'


class _Page(HTMLParser):
    """What a page loads, its links, and its anchors."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.leads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attributes}
        self.anchors.add(values.get("id", ""))
        if tag == "a":
            self.leads.append(values.get("href", "#"))
        else:
            self.loads += [values[name] for name in ("src", "href", "srcset", "data", "poster") if name in values]
        if "mermaid" in values.get("class", ""):  # the script would fetch its drawing library
            self.loads.append("https://a-host-of-mermaid")


def problems(site: Path) -> list[str]:
    """What is loaded from other hosts, and broken links."""
    found: list[str] = []
    parsed = {path.resolve(): _Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    for path, page in parsed.items():
        name = path.relative_to(site.resolve())
        found += [f"{name} loads {url}" for url in page.loads if re.match(r"(https?:)?//", url)]
        # The links of 404.html begin at the site's root, wherever that will be.
        for target in page.leads if path.name != "404.html" else ():
            if re.match(r"[a-z]+:|//", target):
                continue
            file, _, anchor = unquote(target).partition("#")
            leads = (path.parent / file).resolve() if file else path
            leads = leads / "index.html" if leads.is_dir() else leads
            known = parsed[leads].anchors if leads in parsed else {""}
            if not leads.exists() or (anchor and anchor not in known):
                found.append(f"{name} leads to {target}, which is not there")
    for path in site.rglob("*.css"):
        urls = re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')]+)", path.read_text(encoding="utf-8"))
        found += [f"{path.name} loads {url}" for url in urls]
    return found


def main() -> int:
    """Build the site. The exit code is 1 if something is wrong with it."""
    with TemporaryDirectory() as folder:
        stage(ROOT, Path(folder))
        done = subprocess.run([sys.executable, "-m", "zensical", "build", "--strict"], cwd=folder, check=False)
        if done.returncode:
            return 1
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.copytree(Path(folder) / "site", SITE)
    wrong = problems(SITE)
    print("\n".join(wrong) or f"docs: {SITE / 'index.html'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
