"""Finds a Python that has the needed packages. Standard library only, in syntax that every Python 3 reads, so that each
gets as far as the message."""

import importlib.util
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120


def interpreter_problem(script: str, needed: "tuple[str, ...]") -> "str | None":
    """`None` when this interpreter can run `script`, a file of the project's directory that needs some packages.

    When it can't and the project's environment (`SCALIX_VENV`, else `.venv`) is there, this call does not return: that
    environment's interpreter takes over. Otherwise it is one line that says what is wrong and what to do.
    """
    python = os.path.join(ROOT, os.environ.get("SCALIX_VENV") or ".venv", "bin", "python")  # noqa: PTH118
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if (missing or not supported) and os.path.exists(python) and not _runs_in(python):  # noqa: PTH110
        sys.stdout.flush()
        os.execv(python, [python, os.path.join(ROOT, script)] + sys.argv[1:])  # noqa: PTH118, RUF005, S606
    if not supported:
        why = "this is Python %d.%d; it needs 3.11, 3.12 or 3.13" % sys.version_info[:2]  # noqa: UP031
    elif missing:
        why = "packages are missing (" + ", ".join(missing) + ")"
    else:
        return None
    return script + ": " + why + "; run `make run`, or tools/setup.sh run and then .venv/bin/python " + script


def _runs_in(python: str) -> bool:
    """Whether this process runs in the environment of `python` already."""
    return os.path.realpath(sys.prefix) == os.path.realpath(os.path.dirname(os.path.dirname(python)))  # noqa: PTH120
