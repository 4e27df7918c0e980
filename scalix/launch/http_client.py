"""A small HTTP client: one connection for each request, and no redirects, as they would get the key."""

import http.client
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from scalix.launch.settings.tls import trusting

Fields = Mapping[str, Any] | None
TIMEOUT_S = 15.0
MODEL_TIMEOUT_S = 120.0
MOST_MESSAGE_CHARS = 240


class NoAnswer(Exception):
    """There was no HTTP answer in time. The text says why."""


@dataclass(frozen=True)
class Answer:
    """One whole answer. Header names are lower case; `sent_s` and `received_s` are this machine's Unix time."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    sent_s: float
    received_s: float

    @cached_property
    def json(self) -> Any:
        """The body as JSON; `None` where it is not."""
        try:
            return json.loads(self.body)
        except ValueError:
            return None

    def field(self, *path: str) -> Any:
        """The member of the JSON body at `path`; `None` where there is none."""
        value = self.json
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    @property
    def code(self) -> str | None:
        """The error's code, such as `model_not_found`."""
        code = self.field("error", "code")
        return code if isinstance(code, str) else None

    @property
    def told(self) -> str:
        """Status, code and message in one line, such as `404 model_not_found: The model …`."""
        message = self.field("error", "message")
        if not isinstance(message, str):
            message = "" if self.status == 200 else self.body[:MOST_MESSAGE_CHARS].decode("utf-8", "replace")
        head = f"{self.status} {self.code}" if self.code else str(self.status)
        return " ".join(f"{head}: {message}".split())[:MOST_MESSAGE_CHARS] if message.strip() else head

    @property
    def date_s(self) -> float | None:
        """The Date header as Unix time, in whole seconds; `None` where there is none."""
        try:
            return parsedate_to_datetime(self.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return None


class Client:
    """Sends requests to one gateway, with `key` unless a call says otherwise. `url` is `http[s]://host[:port][/path]`.

    `trusted` is the certificate of a gateway on this machine, which is trusted by nothing else; without it, those are
    that the system trusts.
    """

    def __init__(self, url: str, key: str = "", trusted: Path | None = None) -> None:
        parts = urlsplit(url)
        self._https = parts.scheme == "https"
        self._host, self._prefix = parts.hostname or "", parts.path.rstrip("/")
        self._port = parts.port or (443 if self._https else 80)
        self._key = key
        self._trusted = trusted

    def get(self, path: str, *, with_key: bool = True, timeout_s: float = TIMEOUT_S) -> Answer:
        """Raises `NoAnswer`."""
        return self.send("GET", path, with_key=with_key, timeout_s=timeout_s)

    def post(self, path: str, body: Fields, *, with_key: bool = True, timeout_s: float = TIMEOUT_S) -> Answer:
        """Raises `NoAnswer`."""
        return self.send("POST", path, body, with_key=with_key, timeout_s=timeout_s)

    def send(
        self, method: str, path: str, body: Fields = None, *, with_key: bool = True, timeout_s: float = TIMEOUT_S
    ) -> Answer:
        """One request, with `body` as JSON. Raises `NoAnswer`."""
        headers = {"content-type": "application/json"} if body is not None else {}
        if with_key:
            headers["authorization"] = f"Bearer {self._key}"
        connection = self._connection(timeout_s)
        sent_s = time.time()
        try:
            connection.request(method, self._prefix + path, None if body is None else json.dumps(body), headers)
            response = connection.getresponse()
            content = response.read()
        except TimeoutError:
            raise NoAnswer(f"no answer within {timeout_s:g} s") from None
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer((getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()) from None
        finally:
            connection.close()
        received_s = time.time()
        kept = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, kept, content, sent_s, received_s)

    def _connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if not self._https:
            return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)
        try:
            context = trusting(self._trusted) if self._trusted is not None else None
        except OSError as error:
            raise NoAnswer(f"{self._trusted} can't be read ({(error.strerror or 'error').lower()})") from None
        return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=context)
