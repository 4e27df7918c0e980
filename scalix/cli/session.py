"""A running gateway as the subcommands use it, and how they show what it answers."""

import argparse
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from scalix.cli.checks.client import TIMEOUT_S, Answer, Client
from scalix.cli.checks.target import find_target

ROOT = Path(__file__).resolve().parent.parent.parent


class Refused(Exception):
    """The gateway refused. The text is its own message, `code` its error's code where it has one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class WrongUsage(Refused):
    """The command line makes no sense, and the gateway was not asked."""


class Session:
    """One gateway, with the operator's key."""

    def __init__(self, url: str, client: Client, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._client = client
        self._timeout_s = timeout_s

    @classmethod
    def open(cls, environ: Mapping[str, str], *, url: str | None, env_file: Path | None) -> "Session":
        """Raises `LaunchError` when there is no key or `url` is no address."""
        target = find_target(ROOT, environ, url=url, key=None, env_file=env_file)
        return cls(target.url, Client(target.url, target.key))

    def patient(self, timeout_s: float) -> "Session":
        """The same, for what may take so long to answer."""
        return Session(self.url, self._client, timeout_s=timeout_s)

    def get(self, path: str, **query: str) -> Any:
        """The JSON answer. Raises `Refused`, `NoAnswer`."""
        return _body(self._client.get(f"{path}?{urlencode(query)}" if query else path, timeout_s=self._timeout_s))

    def text(self, path: str, **query: str) -> str:
        """The answer as it came, such as CSV. Raises `Refused`, `NoAnswer`."""
        return self.page(path, **query)[0]

    def page(self, path: str, **query: str) -> tuple[str, str | None]:
        """The same, and where the next page begins; `None` if that was the last. Raises `Refused`, `NoAnswer`."""
        answer = self._client.get(f"{path}?{urlencode(query)}" if query else path, timeout_s=self._timeout_s)
        if answer.status != 200:
            return str(_body(answer)), None
        return answer.body.decode("utf-8", "replace"), answer.headers.get("x-scalix-next-cursor")

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """As `get`."""
        return _body(self._client.post(path, body, timeout_s=self._timeout_s))

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        """As `get`."""
        return _body(self._client.put(path, body))

    def delete(self, path: str) -> Any:
        """As `get`."""
        return _body(self._client.delete(path, timeout_s=self._timeout_s))


def _body(answer: Answer) -> Any:
    if answer.status != 200:
        message = answer.field("error", "message")
        raise Refused(message if isinstance(message, str) else answer.told, answer.code)
    if answer.json is None:
        raise Refused("the answer is not JSON; is this a Scalix gateway?")
    return answer.json


def print_json(value: Any) -> None:
    """One JSON document, for programs."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def in_json(options: argparse.Namespace, answer: Any) -> bool:
    """Print an answer for programs where that was asked for; whether it was."""
    if options.json:
        print_json(answer)
    return bool(options.json)


def print_record(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """One record for people: a line for each of its fields."""
    width = max(len(name) for name, _ in rows)
    print("\n".join([_plain(title), *(f"  {name:<{width}}  {_plain(value)}".rstrip() for name, value in rows)]))


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table for people: as wide as the terminal, without colour where there is none."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in _NUMBERS else "left")
    for row in rows:
        # Names come from outside: no markup in them, and no escape sequence of a terminal.
        table.add_row(*(Text(_plain(cell)) for cell in row))
    Console(soft_wrap=False).print(table)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


_NUMBERS = frozenset(
    {
        *("seq", "value", "limit value", "used", "reserved", "remaining", "requests", "tokens", "prompt"),
        *("completion", "cached"),
        *("reasoning", "cost $", "provider $", "charge $", "margin $", "margin %", "mean ms", "errors", "events"),
        *("error rate", "rank"),
    }
)
