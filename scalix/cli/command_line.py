"""What every command does alike: wrong usage in one line, and wrong input told problem by problem."""

import argparse
import sys
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from scalix.launch.problems import Problem

EXIT_FAILED, EXIT_WRONG_INPUT = 1, 2


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line: the usage is for those who ask for it. Options are written in full."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **settings})

    def error(self, message: str) -> NoReturn:
        print(f"{self.prog}: {message}; see {self.prog} --help", file=sys.stderr)
        raise SystemExit(EXIT_WRONG_INPUT)


class Acts:
    """What one subcommand can do, such as `scalix key list`; `act` in the options is its name."""

    def __init__(self, commands: "argparse._SubParsersAction[Any]", name: str, help: str) -> None:
        parser = commands.add_parser(name, help=help)
        self._acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")

    def add(
        self, name: str, run: Callable[..., None], help: str, epilog: str = "", *, user: bool = False, json: bool = True
    ) -> argparse.ArgumentParser:
        """One act, which calls `run`; with `user` it is about one user, with `json` it has that flag."""
        parser: argparse.ArgumentParser = self._acts.add_parser(name, help=help, epilog=epilog or None)
        if user:
            parser.add_argument("user", help="the user's id")
        if json:
            parser.add_argument("--json", action="store_true", help="one JSON object")
        parser.set_defaults(run=run)
        return parser


def tell_problems(problems: Iterable[Problem]) -> int:
    """Print them to standard error. Returns the exit code."""
    for problem in problems:
        print(problem, file=sys.stderr)
    return EXIT_WRONG_INPUT
