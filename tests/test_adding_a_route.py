"""What a new metered route takes: a fictional one is added to a copy of the package, in the files that ARCHITECTURE.md
names."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MOST_FILES = 6
# A file, a line of it, and what goes in before that line.
EDITS = [
    (
        "domain/requests/routes.py",
        "class Route(StrEnum):",
        """_RERANK = RouteRow(
    path="/rerank",
    provider_paths=("/rerank",),
    content="documents",
    also_required=("query",),
    fields=frozenset({"model", "query", "documents", "top_n"}),
)


""",
    ),
    ("domain/requests/routes.py", '    CHAT = "chat", _CHAT', '    RERANK = "rerank", _RERANK\n'),
    ("edge/body_shapes.py", "_LISTS_OF_TEXTS = frozenset(", '_TEXTS |= {"query"}\n'),
    ("domain/tokens/estimate.py", "def estimate_prompt_tokens(", '_CONTROLS |= {"top_n"}\n\n\n'),
    ("launch/config/offered.py", "def mode_of(", 'OFFERED = (*OFFERED, "rerank")\n\n\n'),
]


def files_named() -> set[str]:
    """The files of code below `scalix/` that the page names for a metered route."""
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    part = page.partition("\n**A metered route**")[2].partition("\n**")[0]
    assert part, "ARCHITECTURE.md no longer says how to add a metered route"
    return {path for path in re.findall(r"`([\w/]+\.py)", part) if (ROOT / "scalix" / path).exists()}


def test_a_new_metered_route_takes_six_files_at_most_and_the_page_names_them() -> None:
    named = files_named()
    assert {path for path, _, _ in EDITS} <= named
    assert len(named) <= MOST_FILES


def test_a_route_that_was_added_so_is_dispatched_checked_reserved_for_charged_and_documented(
    tmp_path: Path, store_url: str
) -> None:
    shutil.copytree(ROOT / "scalix", tmp_path / "scalix", ignore=shutil.ignore_patterns("*.pyc.*"))
    for name, before, added in EDITS:
        path = tmp_path / "scalix" / name
        text = path.read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{name} has no longer one line: {before}"
        path.write_text(text.replace(before, added + before), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "added_route.py"), str(tmp_path), store_url],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
