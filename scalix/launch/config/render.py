"""Writes the config that LiteLLM reads."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scalix.launch.processes.private_directory import replace_file

RENDERED_FILE = "litellm.rendered.yaml"
_HEADER = "# Written by the gateway at each start, from the config file. Changes here are lost.\n"


def render(config: Mapping[str, Any]) -> str:
    """`config` as YAML that means the same by the rules of YAML 1.1 (LiteLLM's) and 1.2: every text is quoted."""
    return _HEADER + "".join(line + "\n" for line in _mapping(config, 0))


def write_rendered(path: Path, config: Mapping[str, Any]) -> Path:
    """Writes `config` to `path` with mode 0600, whole or not at all. Raises `LaunchError` when that fails."""
    replace_file(path, render(config).encode())
    return path


def _mapping(value: Mapping[Any, Any], depth: int) -> Iterator[str]:
    for key, item in value.items():
        yield from _entry(f"{'  ' * depth}{_scalar(key)}:", item, depth)


def _list(value: list[Any], depth: int) -> Iterator[str]:
    for item in value:
        yield from _entry(f"{'  ' * depth}-", item, depth)


def _entry(head: str, item: Any, depth: int) -> Iterator[str]:
    if isinstance(item, Mapping) and item:
        yield head
        yield from _mapping(item, depth + 1)
    elif isinstance(item, list) and item:
        yield head
        yield from _list(item, depth + 1)
    else:
        yield f"{head} {_scalar(item)}"


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return _fraction(value)
    if isinstance(value, str):
        return _quoted(value)
    return "{}" if isinstance(value, Mapping) else "[]"


def _fraction(value: float) -> str:
    """YAML 1.1 knows a fraction by its point, so that `1e-06` would be a text there."""
    text = repr(value)
    if text in ("inf", "-inf", "nan"):
        return text.replace("inf", ".inf").replace("nan", ".nan")
    mantissa, e, exponent = text.partition("e")
    return text if not e or "." in mantissa else f"{mantissa}.0e{exponent}"


def _quoted(value: str) -> str:
    plain = (
        character if " " <= character <= "~" and character not in '"\\' else f"\\U{ord(character):08x}"
        for character in value
    )
    return f'"{"".join(plain)}"'
