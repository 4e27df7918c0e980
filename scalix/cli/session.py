"""Requests of the subcommands to a running gateway, with the operator's key."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from scalix.cli.checks.target import find_target
from scalix.launch.home import HOME
from scalix.launch.http_client import TIMEOUT_S, Answer, Client


class Refused(Exception):
    """The gateway refused. The text is the message of its error; `code` is the error's code, if it has one."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code


class WrongUsage(Refused):
    """The command line makes no sense, and the gateway was not asked."""


class Session:
    """One gateway, with the operator's key. All requests raise `Refused` and `NoAnswer`."""

    def __init__(self, url: str, client: Client, *, timeout_s: float = TIMEOUT_S) -> None:
        self.url = url
        self._client = client
        self._timeout_s = timeout_s

    @classmethod
    def open(cls, environ: Mapping[str, str], *, url: str | None, env_file: Path | None) -> "Session":
        """Raises `LaunchError` when there is no key or `url` is no address."""
        target = find_target(HOME, environ, url=url, key=None, env_file=env_file)
        return cls(target.url, Client(target.url, target.key, target.trusted))

    def patient(self, timeout_s: float) -> "Session":
        """The same gateway, whose answers may take that long."""
        return Session(self.url, self._client, timeout_s=timeout_s)

    def ask(self, method: str, path: str, fields: Mapping[str, Any]) -> Any:
        """The JSON answer to a request with `fields`: in the query of a `GET`, else in the body."""
        if method == "GET":
            return self.get(path, **fields)
        body = fields if method != "DELETE" else None
        return _body(self._client.send(method, path, body, timeout_s=self._timeout_s))

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer to a `GET`."""
        return _body(self._get(path, query))

    def page(self, path: str, **query: Any) -> tuple[str, str | None]:
        """The answer to a `GET` as it came, such as CSV, and where the next page begins; `None` if it was the last."""
        answer = self._get(path, query)
        if answer.status != 200:
            return str(_body(answer)), None
        return answer.body.decode("utf-8", "replace"), answer.headers.get("x-scalix-next-cursor")

    def _get(self, path: str, query: Mapping[str, Any]) -> Answer:
        return self._client.send("GET", f"{path}?{urlencode(query)}" if query else path, timeout_s=self._timeout_s)


def _body(answer: Answer) -> Any:
    if answer.status != 200:
        message = answer.field("error", "message")
        raise Refused(message if isinstance(message, str) else answer.told, answer.code)
    if answer.json is None:
        raise Refused("the answer is not JSON; is this a Scalix gateway?")
    return answer.json
