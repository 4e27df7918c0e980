#!/usr/bin/env python3
"""Starts the Scalix gateway. `--help` tells more; `make run` does the set-up too."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - with -P or -I it is not there

from scalix.cli.interpreter import interpreter_problem

NEEDED = ("litellm", "uvicorn", "uvloop", "httptools", "redis", "pydantic", "ruamel", "dotenv", "psutil", "re2")


def main() -> int:
    """Hand over to the command, in an interpreter that has what it needs."""
    problem = interpreter_problem("start_scalix_litellm.py", NEEDED)
    if problem:
        sys.stderr.write(problem + "\n")
        return 2
    from scalix.cli.start import main as start

    return start()


if __name__ == "__main__":
    sys.exit(main())
