"""Reading a request's body: bounded in size, parsed once. `guard_bodies.paced` bounds the time."""

from typing import Any

import orjson

from scalix.domain.errors import BadRequest, RequestTooLarge
from scalix.edge.asgi import Receive, Scope, header

MAX_BODY_BYTES = 16 * 1024 * 1024
# Deeper than any schema of a tool; what reads the body behind us may recurse.
MOST_DEPTH = 64
# What is behind us looks at every value of a body, in one go. An object weighs as much as ten other values, a token
# a third of one: some thousands of messages, or the 300,000 tokens that OpenAI takes to embed at once.
MOST_WEIGHT = 100_000
_LIGHT_BYTES = 32 * 1024


class ClientGone(Exception):
    """The client left before its body was read; there is nobody to answer."""


async def left(receive: Receive) -> None:
    """Returns when the client has gone. What it sends until then is not read by anybody."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_json(scope: Scope, receive: Receive, *, optional: bool = False) -> dict[str, Any]:
    """The body as a JSON object; with `optional`, an empty one where there is none.

    Raises `BadRequest`, `RequestTooLarge`, `ClientGone`.
    """
    check_head(scope)
    return json_object(await _read(receive), optional=optional)


def check_head(scope: Scope) -> None:
    """What the headers say of a body. Raises `BadRequest`, `RequestTooLarge`."""
    encoding = header(scope, b"content-encoding")
    if encoding not in (None, "", "identity"):
        raise BadRequest("Compressed request bodies are not read. Send the body without Content-Encoding.")
    length = header(scope, b"content-length")
    if length is not None and (not length.isascii() or not length.isdigit() or int(length) > MAX_BODY_BYTES):
        raise _too_large()


def json_object(raw: bytes, *, optional: bool = False) -> dict[str, Any]:
    """A body that is there, as `read_json` has it. Raises `BadRequest`."""
    if not raw.strip():
        if optional:
            return {}
        raise BadRequest("The request has no body. Send a JSON object.")
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        message = f"The request's body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        raise BadRequest(message) from None
    _refuse_too_deep(raw, value)
    _refuse_too_many(raw, value)
    if not isinstance(value, dict):
        raise BadRequest('The request\'s body must be a JSON object, such as {"model": …}.')
    return value


def _refuse_too_deep(raw: bytes, value: Any) -> None:
    if raw.count(b"[") + raw.count(b"{") <= MOST_DEPTH:
        return
    level = [value]
    for _ in range(MOST_DEPTH):
        level = [
            child
            for node in level
            for child in (node.values() if isinstance(node, dict) else node)
            if isinstance(child, dict | list)
        ]
        if not level:
            return
    raise BadRequest(f"The request's body is nested more than {MOST_DEPTH} levels deep, the most that is read.")


def _refuse_too_many(raw: bytes, value: Any) -> None:
    if len(raw) <= _LIGHT_BYTES:
        return
    weight, level = 0, [value]
    while level:
        inner: list[Any] = []
        for node in level:
            if isinstance(node, list) and set(map(type, node)) == {int}:
                weight += len(node) // 3
            elif isinstance(node, dict | list):
                weight += len(node) + (10 if isinstance(node, dict) else 0)
                if weight <= MOST_WEIGHT:
                    inner.extend(node.values() if isinstance(node, dict) else node)
            if weight > MOST_WEIGHT:
                raise BadRequest("The request's body holds more values than are read at once. Send several requests.")
        level = inner


async def _read(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _too_large()
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _too_large() -> RequestTooLarge:
    return RequestTooLarge(f"The request's body is larger than {MAX_BODY_BYTES // 2**20} MiB, the most that is read.")
