#!/usr/bin/env python3
"""Starts the Scalix gateway. `--help` tells more; `make run` does the set-up too."""

import importlib.util
import os
import sys

ROOT = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - any Python 3 must get as far as the message
NEEDED = ("litellm", "uvicorn", "uvloop", "httptools", "redis", "pydantic", "ruamel", "dotenv", "psutil")


def main() -> int:
    """Hand over to the command, in an interpreter that has what it needs."""
    python = os.path.join(ROOT, os.environ.get("SCALIX_VENV") or ".venv", "bin", "python")  # noqa: PTH118
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if (missing or not supported) and os.path.exists(python) and not _runs_in(python):  # noqa: PTH110
        sys.stdout.flush()
        os.execv(python, [python, os.path.abspath(__file__)] + sys.argv[1:])  # noqa: PTH100, RUF005, S606
    if not supported:
        return _refuse("this is Python %d.%d; it needs 3.11, 3.12 or 3.13" % sys.version_info[:2])  # noqa: UP031
    if missing:
        return _refuse("packages are missing (" + ", ".join(missing) + ")")
    sys.path.insert(0, ROOT)
    from scalix.cli.start import main as start

    return start()


def _runs_in(python: str) -> bool:
    """Whether this is that environment's interpreter already."""
    return os.path.realpath(sys.prefix) == os.path.realpath(os.path.dirname(os.path.dirname(python)))  # noqa: PTH120


def _refuse(why: str) -> int:
    sys.stderr.write(
        "start_scalix_litellm.py: " + why + "; run `make run`, or tools/setup.sh run and then .venv/bin/python "
        "start_scalix_litellm.py\n"
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
