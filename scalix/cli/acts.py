"""What the subcommands of `scalix` share: one request made of the options, and its answer shown."""

import argparse
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from scalix.cli.command_line import EXIT_FAILED
from scalix.cli.session import Session
from scalix.cli.tables import print_json
from scalix.launch.http_client import TIMEOUT_S

NULL = "\0"
"""The value of an option that is sent as `null`. An option that was not written is `None` and not sent."""

SHAPES = {"json": "one JSON object", "csv": "CSV, with all columns and a line of their names"}
A_TABLE = ("json", "csv")

Options = argparse.Namespace
Run = Callable[[Options, Session], None]
Show = Callable[[Options, Any], None]
Failed = Callable[[Options, Any], bool]
_OWN = frozenset({"command", "verb", "run", "json", "csv", "url", "env_file"})


class Acts:
    """Adds the acts of one subcommand to the parser, such as `list` of `scalix key list`."""

    def __init__(self, commands: "argparse._SubParsersAction[Any]", name: str, help: str) -> None:
        parser = commands.add_parser(name, help=help)
        self._acts = parser.add_subparsers(dest="verb", required=True, metavar="ACT")

    def add(
        self,
        name: str,
        run: Run,
        help: str,
        epilog: str = "",
        *,
        user: bool = False,
        shapes: Sequence[str] = ("json",),
    ) -> argparse.ArgumentParser:
        """Add an act that calls `run`. `user`: it takes a user's id; `shapes`: it has those flags, of `SHAPES`. Returns
        its parser."""
        parser: argparse.ArgumentParser = self._acts.add_parser(name, help=help, epilog=epilog or None)
        if user:
            parser.add_argument("user_id", metavar="user", help="the user's id")
        add_shapes(parser, shapes)
        parser.set_defaults(run=run)
        return parser


def add_shapes(parser: argparse.ArgumentParser, shapes: Sequence[str]) -> None:
    """Add the flags that say how an answer is printed, of which one may be written."""
    group = parser.add_mutually_exclusive_group()
    for shape in shapes:
        group.add_argument(f"--{shape}", action="store_true", help=SHAPES[shape])


def given(options: Options) -> dict[str, Any]:
    """The options that were written and are for the gateway, named as the gateway's fields."""
    written = {name: value for name, value in vars(options).items() if name not in _OWN and value is not None}
    return {name: None if value == NULL else value for name, value in written.items()}


def tell(options: Options, answer: Any, show: Show) -> None:
    """Print an answer: as it is with `--json`, else for people."""
    if options.json:
        print_json(answer)
    else:
        show(options, answer)


def asks(request: str, show: Show, *, patience_s: float = TIMEOUT_S, failed: Failed = lambda *_: False) -> Run:
    """A command that makes one request with the options that were written, and shows the answer.

    `request`: method and path, such as `GET /user/info`; names in braces in the path are options.
    `show`: prints the answer for people. With `--json` the answer is printed as it is.
    `patience_s`: how long the gateway may take to answer.
    `failed`: whether the command ends with exit code 1 after this answer.
    """
    method, _, path = request.partition(" ")

    def run(options: Options, session: Session) -> None:
        rest = {name: value for name, value in given(options).items() if f"{{{name}}}" not in path}
        place = path.format(**{name: quote(str(value), safe="") for name, value in vars(options).items()})
        answer = session.patient(patience_s).ask(method, place, rest)
        tell(options, answer, show)
        if failed(options, answer):
            raise SystemExit(EXIT_FAILED)

    return run


def or_null(word: str, kind: Callable[[str], Any] = str) -> Callable[[str], Any]:
    """The type of an option: a `kind`, or `word` to remove what was set."""

    def read(text: str) -> Any:
        return NULL if text == word else kind(text)

    read.__name__ = getattr(kind, "__name__", "value")
    return read
