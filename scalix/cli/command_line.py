"""What all commands share: how they report wrong usage and wrong input."""

import argparse
import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NoReturn

from scalix.launch.problems import Problem

EXIT_FAILED, EXIT_WRONG_INPUT = 1, 2


class Parser(argparse.ArgumentParser):
    """Reports wrong usage in one line, without the whole usage. Options can't be abbreviated."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(EXIT_WRONG_INPUT)


def expected(what: str, text: str) -> argparse.ArgumentTypeError:
    """The error of an argument `text` that should have been `what`."""
    return argparse.ArgumentTypeError(f"expected {what}, not {text[:80]!r}")


def typed_path(text: str) -> Path:
    """The type of an option that names a file, relative to the current directory."""
    return Path(text).expanduser().absolute()


def tell_problems(problems: Iterable[Problem], *, as_json: bool = False) -> int:
    """Print problems to standard error, or as one JSON object to standard output. Returns the exit code."""
    if as_json:
        told = [{"where": problem.where, "what": problem.what, "fix": problem.fix} for problem in problems]
        print(json.dumps({"ok": False, "problems": told}))
    else:
        for problem in problems:
            print(problem, file=sys.stderr)
    return EXIT_WRONG_INPUT
