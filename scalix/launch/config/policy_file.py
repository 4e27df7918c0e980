"""Writes the policy to a file that workers read at their start and at every reload.

A worker that restarts while the operator edits the config so has the same policy as the others.
"""

import os
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from scalix.domain.policy import Policy
from scalix.launch.problems import LaunchError, shown_path
from scalix.launch.processes.private_directory import replace_file

_TAKEN = "policy.taken."


def write_policy(path: Path, number: int, policy: Policy) -> None:
    """Replace the file (mode 0600) in one step. `number` counts the reloads of this run. Raises `LaunchError`."""
    content = {"number": number, "policy": _CODEC.dump_python(policy, mode="json")}
    replace_file(path, to_json(content, indent=1))


def read_policy(path: Path) -> tuple[int, Policy]:
    """Return the number and the policy. Raises `LaunchError`."""
    try:
        content = from_json(path.read_bytes())
        return int(content["number"]), _CODEC.validate_python(content["policy"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        what = f"the policy can't be read ({type(error).__name__})"
        raise LaunchError.of(shown_path(path), what, "restart the gateway") from None


def note_taken(path: Path, number: int) -> None:
    """Record that this process has put policy `number` in force."""
    path.with_name(f"{_TAKEN}{os.getpid()}").write_text(str(number), encoding="ascii")


def taken_by(path: Path, pid: int) -> int:
    """Return the number of the policy that process `pid` has in force; 0 if it has recorded none."""
    try:
        return int(path.with_name(f"{_TAKEN}{pid}").read_text(encoding="ascii") or 0)
    except (OSError, ValueError):
        return 0


def forget_taken(path: Path) -> None:
    """Remove what the workers of a former run have recorded."""
    for note in path.parent.glob(f"{_TAKEN}*"):
        note.unlink(missing_ok=True)


_CODEC = TypeAdapter(Policy)
