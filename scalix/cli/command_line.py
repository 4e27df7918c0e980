"""What every command does alike: wrong usage in one line, and wrong input told problem by problem."""

import argparse
import sys
from collections.abc import Iterable
from typing import NoReturn

from scalix.launch.problems import Problem

EXIT_FAILED, EXIT_WRONG_INPUT = 1, 2


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: the usage is for those who ask for it."""

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(EXIT_WRONG_INPUT)


def tell_problems(problems: Iterable[Problem]) -> int:
    """Print them to standard error. Returns the exit code."""
    for problem in problems:
        print(problem, file=sys.stderr)
    return EXIT_WRONG_INPUT
