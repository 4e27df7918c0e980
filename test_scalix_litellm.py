#!/usr/bin/env python3
"""Checks a running Scalix gateway through its public API. `--help` tells more."""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - with -P or -I it is not there

from scalix.cli.interpreter import interpreter_problem

NEEDED = ("dotenv", "psutil", "re2")


def main() -> int:
    """Hand over to the command, in an interpreter that has what it needs."""
    problem = interpreter_problem("test_scalix_litellm.py", NEEDED)
    if problem:
        sys.stderr.write(problem + "\n")
        return 2
    from scalix.cli.diagnose import main as diagnose

    return diagnose()


if __name__ == "__main__":
    sys.exit(main())
