"""The stubs in `typings/` name what we use of others' packages: each name must be there, with the parameters that the
stub gives it. So a new version that has renamed one is a red test, and not a surprise at run time."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

STUBS = Path(__file__).parent.parent / "typings"


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(STUBS).with_suffix("").parts).removesuffix(".__init__")


def named(body: list[ast.stmt], owner: str = "") -> Iterator[tuple[str, list[str] | None]]:
    """What a stub names: `name` or `Class.name`, with the parameters that it gives a function."""
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield node.name, None
            yield from named(node.body, f"{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            yield owner + node.name, [one.arg for one in given]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield owner + node.target.id, None
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname, None) for alias in node.names if alias.asname == alias.name)


NAMES = [
    (module_of(path), name, parameters)
    for path in sorted(STUBS.rglob("*.pyi"))
    for name, parameters in named(ast.parse(path.read_text()).body)
    if not name.endswith(("__getattr__", "__enter__", "__exit__"))
]


def has_parameters(found: Any, parameters: list[str]) -> bool:
    known = inspect.signature(found).parameters
    is_open = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values())
    return is_open or set(parameters) - {"self", "cls"} <= known.keys()


@pytest.mark.parametrize(("module", "name", "parameters"), NAMES, ids=[f"{module}.{name}" for module, name, _ in NAMES])
def test_what_a_stub_names_is_there(module: str, name: str, parameters: list[str] | None) -> None:
    found: Any = importlib.import_module(module)
    for part in name.split("."):
        if not hasattr(found, part):
            # An attribute that only instances have. What a text merely mentions is not there.
            assert inspect.isclass(found), f"{module} has no {name}"
            pattern = rf"\bself\.{part}\b|^\s+{part}\s*[:=]|\"{part}\""
            assert re.search(pattern, inspect.getsource(found), re.M), f"{module} has no {name}"
            return
        found = getattr(found, part)
    if parameters is not None:
        assert has_parameters(found, parameters), f"{module}.{name} takes {inspect.signature(found)}"
