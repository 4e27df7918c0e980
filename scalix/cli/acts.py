"""Subcommands of `scalix`: each asks the gateway for what was written on the command line, and shows the answer."""

import argparse
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from scalix.cli.checks.client import TIMEOUT_S
from scalix.cli.command_line import EXIT_FAILED
from scalix.cli.session import Session
from scalix.cli.tables import print_json

NULL = "\0"
"""The value of an option that is sent as `null`; one that was not written is `None`, and not sent."""

Options = argparse.Namespace
Run = Callable[[Options, Session], None]
Show = Callable[[Options, Any], None]
Failed = Callable[[Options, Any], bool]
_OWN = frozenset({"command", "verb", "run", "json", "csv", "url", "env_file"})


class Acts:
    """What one subcommand can do, such as `scalix key list`; `verb` in the options is the name of what was chosen."""

    def __init__(self, commands: "argparse._SubParsersAction[Any]", name: str, help: str) -> None:
        parser = commands.add_parser(name, help=help)
        self._acts = parser.add_subparsers(dest="verb", required=True, metavar="ACT")

    def add(
        self, name: str, run: Run, help: str, epilog: str = "", *, user: bool = False, json: bool = True
    ) -> argparse.ArgumentParser:
        """One act, which calls `run`; with `user` it is about one user, with `json` it has that flag."""
        parser: argparse.ArgumentParser = self._acts.add_parser(name, help=help, epilog=epilog or None)
        if user:
            parser.add_argument("user_id", metavar="user", help="the user's id")
        if json:
            parser.add_argument("--json", action="store_true", help="one JSON object")
        parser.set_defaults(run=run)
        return parser


def given(options: Options) -> dict[str, Any]:
    """What was written on the command line and is for the gateway, under the names that the gateway has for it."""
    written = {name: value for name, value in vars(options).items() if name not in _OWN and value is not None}
    return {name: None if value == NULL else value for name, value in written.items()}


def asks(request: str, show: Show, *, patience_s: float = TIMEOUT_S, failed: Failed = lambda *_: False) -> Run:
    """A command that makes one request with what was written on the command line, and shows the answer.

    `request` is such as `GET /user/info`; what stands in braces in its path is taken from the options. `show` prints
    the answer for people; with `--json` it is printed as it is. `patience_s` is how long an answer may take, and
    `failed` says of an answer that has come whether the command ends with exit code 1 all the same.
    """
    method, _, path = request.partition(" ")

    def run(options: Options, session: Session) -> None:
        rest = {name: value for name, value in given(options).items() if f"{{{name}}}" not in path}
        place = path.format(**{name: quote(str(value), safe="") for name, value in vars(options).items()})
        answer = session.patient(patience_s).ask(method, place, rest)
        if options.json:
            print_json(answer)
        else:
            show(options, answer)
        if failed(options, answer):
            raise SystemExit(EXIT_FAILED)

    return run


def or_null(word: str, kind: Callable[[str], Any] = str) -> Callable[[str], Any]:
    """The type of an option that is a `kind`, or `word` to take away what was set."""

    def read(text: str) -> Any:
        return NULL if text == word else kind(text)

    read.__name__ = getattr(kind, "__name__", "value")
    return read
