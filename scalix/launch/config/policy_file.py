"""The policy as the launcher has accepted it, in a file that its workers read: at their start and at every reload.

So a worker that is brought back in the middle of an edit of the config has what its neighbours have.
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
    """The number and the policy. Raises `LaunchError`."""
    try:
        content = from_json(path.read_bytes())
        return int(content["number"]), _CODEC.validate_python(content["policy"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        what = f"the policy can't be read ({type(error).__name__})"
        raise LaunchError.of(shown_path(path), what, "restart the gateway") from None


def note_taken(path: Path, number: int) -> None:
    """Say that this process has put the policy of this `number` in force."""
    path.with_name(f"{_TAKEN}{os.getpid()}").write_text(str(number), encoding="ascii")


def taken_by(path: Path, pid: int) -> int:
    """The number of the policy that `pid` has said to have in force; 0 when it has not said so."""
    try:
        return int(path.with_name(f"{_TAKEN}{pid}").read_text(encoding="ascii") or 0)
    except (OSError, ValueError):
        return 0


def forget_taken(path: Path) -> None:
    """Remove what the workers of a former run have said."""
    for note in path.parent.glob(f"{_TAKEN}*"):
        note.unlink(missing_ok=True)


_CODEC = TypeAdapter(Policy)
