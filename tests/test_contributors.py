"""What the pages for contributors name is there: each path, and each name in a module."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = [
    "ARCHITECTURE.md",
    "CONTRIBUTING.md",
    *(f"docs/decisions/{one.name}" for one in ROOT.glob("docs/decisions/[0-9]*")),
]
# A path, below the root or below scalix/, and maybe a name in it: `edge/gate.py:Gate.refuse_at_once`.
_NAMED = re.compile(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.py)(?::([\w.]+))?`")


def defined_in(path: Path) -> set[str]:
    """The names that a module's top defines, and as `Class.name` those of its classes."""
    found: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (inner for inner in node.body if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef))
            found.update(f"{node.name}.{method.name}" for method in methods)
        if isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found.update(target.id for target in targets if isinstance(target, ast.Name))
    return found


@pytest.mark.parametrize("page", sorted(PAGES))
def test_every_path_and_name_on_a_page_for_contributors_exists(page: str) -> None:
    found = _NAMED.findall((ROOT / page).read_text(encoding="utf-8").replace("```", ""))
    assert len(found) > 2
    for path, name in found:
        places = [root / path for root in (ROOT, ROOT / "scalix") if (root / path).exists()]
        assert places, f"{page}: there is no {path}"
        assert not name or name in defined_in(places[0]), f"{page}: {path} has no {name}"
