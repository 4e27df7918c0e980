"""Writes the config file that LiteLLM reads."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from scalix.launch.processes.private_directory import replace_file

RENDERED_FILE = "litellm.rendered.yaml"
_HEADER = "# Written by the gateway at each start, from the config file. Changes here are lost.\n"


def render(config: Mapping[str, Any]) -> str:
    """Return `config` as YAML that means the same in YAML 1.1, which LiteLLM reads, and in 1.2: every text is
    quoted."""
    return _HEADER + "".join(line + "\n" for line in _lines(config, ""))


def write_rendered(path: Path, config: Mapping[str, Any]) -> Path:
    """Write `config` to `path` with mode 0600, in one step. Raises `LaunchError` when that fails."""
    replace_file(path, render(config).encode())
    return path


def _lines(value: Mapping[Any, Any] | list[Any], indent: str) -> Iterator[str]:
    heads = [f"{_scalar(key)}:" for key in value] if isinstance(value, Mapping) else ["-"] * len(value)
    for head, item in zip(heads, value.values() if isinstance(value, Mapping) else value, strict=True):
        if isinstance(item, Mapping | list) and item:
            yield f"{indent}{head}"
            yield from _lines(item, f"{indent}  ")
        else:
            yield f"{indent}{head} {_scalar(item)}"


def _scalar(value: Any) -> str:
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, float):
        return _fraction(value)
    # Empty lists and mappings, whole numbers, truth values and null are written as in JSON.
    return json.dumps(value)


def _fraction(value: float) -> str:
    """Return a number with a point in it. Without one, YAML 1.1 would take `1e-06` for text."""
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
