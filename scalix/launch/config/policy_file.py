"""The policy as the launcher has accepted it, in a file that its workers read: at their start and at every reload.

So a worker that is brought back in the middle of an edit of the config has what its neighbours have.
"""

import os
import secrets
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json, to_json

from scalix.domain.policy import Policy
from scalix.launch.problems import LaunchError, Problem, shown_path

_TAKEN = "policy.taken."


def write_policy(path: Path, number: int, policy: Policy) -> None:
    """Replace the file (mode 0600) in one step. `number` counts the reloads of this run. Raises `LaunchError`."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    content = to_json({"number": number, "policy": _CODEC.dump_python(policy, mode="json")}, indent=1)
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        fix = "set SCALIX_STATE_DIR to a directory that this user may write"
        raise LaunchError([Problem(shown_path(path), f"can't be written ({reason})", fix)]) from error


def read_policy(path: Path) -> tuple[int, Policy]:
    """The number and the policy. Raises `LaunchError`."""
    try:
        content = from_json(path.read_bytes())
        return int(content["number"]), _CODEC.validate_python(content["policy"])
    except (OSError, ValueError, KeyError, TypeError, ValidationError) as error:
        what = f"the policy can't be read ({type(error).__name__})"
        raise LaunchError([Problem(shown_path(path), what, "restart the gateway")]) from None


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
