"""Which variables LiteLLM's code reads, found in its source."""

import ast
import importlib.util
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

_READERS = re.compile(r"getenv|_?get_secret(_str|_bool|_from_manager)?|\w*env(iron)?(_\w+)?")
_MAY_READ = re.compile(r"environ|getenv|get_secret|env\w*\(")
_OF_A_MAPPING = ("get", "setdefault", "pop")
_VARIABLE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def litellm_folder() -> Path:
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


@cache
def names_read() -> dict[str, frozenset[str]]:
    """The variables and the files that read them: where a name stands as a text, or as a constant of the module."""
    found: dict[str, set[str]] = {}
    folder = litellm_folder()
    for path in sorted(folder.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        if _MAY_READ.search(source):
            for name in _names_in(ast.parse(source)):
                found.setdefault(name, set()).add(str(path.relative_to(folder)))
    # Providers that are data.
    for provider in json.loads((folder / "llms/openai_like/providers.json").read_text(encoding="utf-8")).values():
        for field, name in provider.items():
            if field.endswith("_env"):
                found.setdefault(name, set()).add("llms/openai_like/providers.json")
    return {name: frozenset(files) for name, files in found.items()}


def _names_in(tree: ast.Module) -> Iterator[str]:
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }

    def text(node: ast.expr) -> str | None:
        value = constants.get(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
        return value if isinstance(value, str) and _VARIABLE.fullmatch(value) else None

    for node in ast.walk(tree):
        keys: list[ast.expr] = []
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            of_environ = (
                called in _OF_A_MAPPING and isinstance(node.func, ast.Attribute) and _is_environ(node.func.value)
            )
            if of_environ or _READERS.fullmatch(called):
                keys = [*node.args, *(keyword.value for keyword in node.keywords)]
        elif isinstance(node, ast.Subscript) and _is_environ(node.value):
            keys = [node.slice]
        elif isinstance(node, ast.Compare) and any(map(_is_environ, node.comparators)):
            keys = [node.left]
        yield from (name for key in keys if (name := text(key)) is not None)


def _is_environ(node: ast.expr) -> bool:
    return (node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")) == "environ"
