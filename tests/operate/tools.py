"""The programs that tests of operation start: servers of Debian, and validators in an environment of their own."""

import os
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
VALIDATORS = ROOT / ".venv-operate" / "bin"


def program(name: str) -> str:
    """The path of a program that `make operate` has installed."""
    found = shutil.which(name, path=f"{VALIDATORS}:{os.environ['PATH']}:/usr/sbin:/sbin")
    assert found, f"{name} is not installed: make operate does that"
    return found


def run(*command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, with these variables on top of the environment."""
    return subprocess.run(
        (program(command[0]), *command[1:]),
        env=os.environ | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=900,
    )
