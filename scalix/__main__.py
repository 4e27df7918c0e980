"""`python -m scalix …`: what operators do with a running gateway. `--help` tells more."""

import os
import sys

# Run as a file, by another interpreter, the project's directory is not on the path.
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # noqa: PTH100, PTH120

from scalix.cli.interpreter import interpreter_problem

NEEDED = ("litellm", "uvicorn", "uvloop", "httptools", "redis", "pydantic", "ruamel", "dotenv", "psutil", "re2")


def main() -> int:
    """Hand over to the command, in an interpreter that has what it needs."""
    problem = interpreter_problem("scalix/__main__.py", NEEDED)
    if problem:
        sys.stderr.write(
            problem.replace("scalix/__main__.py:", "python -m scalix:").replace(
                "python scalix/__main__.py", "python -m scalix"
            )
            + "\n"
        )
        return 2
    from scalix.cli.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
