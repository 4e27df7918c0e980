"""Reads one env file into names and values, each with the line it came from."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from scalix.launch.problems import Problem, Wrong, read_text, shown_path

_QUOTED = re.compile(r"\s*(?:export\s+)?[^\s=#]+\s*=\s*(['\"])")
# As in a line of its own; keys in several lines have no underscore.
_ASSIGNMENT = re.compile(r"\n(?:export\s+)?[A-Z][A-Z0-9]*_[A-Z0-9_]*=")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """The content of an env file. `origins` has `file:line` of each name."""

    path: Path
    values: Mapping[str, str]
    origins: Mapping[str, str]


def read_env_file(path: Path, problems: list[Problem]) -> EnvFile:
    """Read the variables in `path`; the last of several equal names wins, as in a shell.

    Values stand as written: `$` and `${…}` are not expanded, so that a password may hold them. What can't be read
    or parsed is added to `problems`, without the text of the line, which may be a secret.
    """
    # Loaded here, because `--help` and `--stop` need no env file and must answer at once.
    from dotenv.parser import parse_stream

    values: dict[str, str] = {}
    origins: dict[str, str] = {}
    try:
        text = read_text(path, "env file", "--env-file")
    except Wrong as wrong:
        problems.append(Problem(shown_path(path), wrong.what, wrong.fix))
        text = ""
    for binding in parse_stream(StringIO(text)):
        # A binding begins with the blank lines before it.
        raw = binding.original.string
        line = binding.original.line + raw[: len(raw) - len(raw.lstrip())].count("\n")
        where = f"{shown_path(path)}:{line}"
        if _is_unclosed(raw, binding.error):
            problems.append(Problem(where, "the quote that begins here has no end", "write it, or no quote at all"))
        elif binding.error:
            problems.append(Problem(where, "this line is not an assignment", "write NAME=value, or start it with #"))
        elif binding.key is not None and binding.value is None:
            problems.append(Problem(where, f"{binding.key} has no value", f"write {binding.key}=value"))
        elif binding.key is not None and binding.value is not None:
            values[binding.key] = binding.value
            origins[binding.key] = where
    return EnvFile(path, values, origins)


def _is_unclosed(raw: str, is_error: bool) -> bool:
    """Whether a value's quote is not closed in its line: an error, or the next lines were taken for its value."""
    value = _QUOTED.match(raw)
    if value is None:
        return False
    rest = raw[value.end() :].rstrip("\n")
    if is_error:
        return value[1] not in rest.partition("\n")[0]
    return bool(_ASSIGNMENT.search(rest))
