"""How providers and what stands before them answer when they do not keep to HTTP, or know more of it than most."""

import gzip
import time
from collections.abc import Callable
from functools import partial
from socket import SHUT_WR, socket

import orjson

from tests.e2e.raw_provider import Asked, Behaviour, Hangup, chunked, head, reset

USAGE = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
_CHOICE = {"index": 0, "message": {"role": "assistant", "content": "hello"}, "finish_reason": "stop"}
_SHAPE = {"id": "c1", "created": 1, "model": "m"}
WHOLE = orjson.dumps({**_SHAPE, "object": "chat.completion", "choices": [_CHOICE], "usage": USAGE})
_MOVED = b"<html>moved</html>"
_EVENTS = "text/event-stream"


def event(content: str = "", finish: str | None = None, **more: object) -> bytes:
    """A chunk of a stream."""
    choices = [{"index": 0, "delta": {"content": content} if content else {}, "finish_reason": finish}]
    chunk = {**_SHAPE, "object": "chat.completion.chunk", "choices": choices, **more}
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


EVENTS = (event("hel"), event("lo"), event("", "stop"), event(choices=[], usage=USAGE), b"data: [DONE]\n\n")


def pieces(asked: Asked) -> tuple[bytes, ...]:
    """The body of a right answer."""
    return EVENTS if asked.body.get("stream") else (WHOLE,)


def kind(asked: Asked) -> str:
    return _EVENTS if asked.body.get("stream") else "application/json"


def proper(connection: socket, asked: Asked, before: bytes = b"", after: bytes = b"0\r\n\r\n") -> None:
    """A right answer, in chunks. `before` comes before its head, `after` in place of its end."""
    connection.sendall(before + head("200 OK", kind(asked), "transfer-encoding: chunked"))
    connection.sendall(chunked(*pieces(asked)) + after)
    if not after:
        raise Hangup


def of_length(
    connection: socket, asked: Asked, *, more: tuple[str, ...] = (), wrong_by: int = 0, status: str = "200 OK"
) -> None:
    """The same with a length, which is `wrong_by` so many bytes, and with `more` headers."""
    body = b"".join(pieces(asked))
    connection.sendall(head(status, kind(asked), f"content-length: {len(body) + wrong_by}", *more) + body)
    if wrong_by:
        raise Hangup


def beginning(connection: socket, asked: Asked, then: Callable[[socket], None]) -> None:
    """An event and half of the next, or half of a whole answer."""
    begun = pieces(asked)[0] + EVENTS[1][:20] if asked.body.get("stream") else WHOLE[:20]
    connection.sendall(head("200 OK", kind(asked), "transfer-encoding: chunked") + chunked(begun))
    time.sleep(0.1)  # so that it comes by itself
    then(connection)


def _role_alone(connection: socket, asked: Asked) -> None:
    """A stream that is reset before it has said a word, and half of a whole answer."""
    begun = event(choices=[{"index": 0, "delta": {"role": "assistant"}}]) if asked.body.get("stream") else WHOLE[:20]
    connection.sendall(head("200 OK", kind(asked), "transfer-encoding: chunked") + chunked(begun))
    time.sleep(0.1)
    reset(connection)


def _in_pieces(connection: socket, asked: Asked) -> None:
    """A text that is cut within a character, in a type with a charset."""
    body = b"".join(pieces(asked)).replace(b"hel", "hel北".encode())
    cut = body.index("北".encode()) + 1
    connection.sendall(head("200 OK", f"{kind(asked)};charset=UTF-8", "transfer-encoding: chunked"))
    connection.sendall(chunked(body[:cut]))
    time.sleep(0.05)  # so that it comes by itself
    connection.sendall(chunked(body[cut:]) + b"0\r\n\r\n")


def _compressed(connection: socket, asked: Asked) -> None:
    body = gzip.compress(b"".join(pieces(asked)))
    connection.sendall(head("200 OK", kind(asked), "content-encoding: gzip", "transfer-encoding: chunked"))
    connection.sendall(chunked(body[:30], body[30:]) + b"0\r\n\r\n")


def _then_reset(connection: socket, asked: Asked) -> None:
    of_length(connection, asked, more=("connection: close",))
    time.sleep(0.1)  # so that it has been read
    reset(connection)


def hang_up(connection: socket, asked: Asked | None = None) -> None:
    raise Hangup


def _nonsense(connection: socket) -> None:
    connection.sendall(b"zz\r\nhello\r\n")
    connection.recv(1)  # until it is hung up on


def _raw(text: bytes, connection: socket, asked: Asked) -> None:
    connection.sendall(text)
    raise Hangup


def _coded(coding: str, body: bytes, connection: socket, asked: Asked) -> None:
    connection.sendall(
        head("200 OK", "application/json", f"content-encoding: {coding}", f"content-length: {len(body)}") + body
    )


def _half_closed(connection: socket, asked: Asked) -> None:
    connection.sendall(head("200 OK", kind(asked), "connection: close") + b"".join(pieces(asked)))
    connection.shutdown(SHUT_WR)
    connection.recv(1)


def _http_1_0(connection: socket, asked: Asked) -> None:
    text = head("200 OK", kind(asked)).replace(b"HTTP/1.1", b"HTTP/1.0") + b"".join(pieces(asked))
    _raw(text, connection, asked)


def _redirect(status: str, location: str, connection: socket, asked: Asked) -> None:
    if b"/elsewhere/" in asked.head:
        return proper(connection, asked)
    named = (f"location: {location}",) if location else ()
    connection.sendall(head(status, "text/html", f"content-length: {len(_MOVED)}", *named) + _MOVED)
    return None


def _empty(status: str, connection: socket, asked: Asked) -> None:
    connection.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())


FINE = "an answer"
"""It is passed on and charged as stated."""
FAILED = "a failure"
"""The client has a 503, and nothing is charged."""
BROKE = "broken off"
"""The client has the beginning and an error, and the beginning is charged."""
TOO_LARGE = "too large"
"""The client has a 502, and pays what it may have cost."""

# What becomes of a whole answer and of a stream.
ANSWERS: dict[str, tuple[Behaviour, str, str]] = {
    "in chunks": (proper, FINE, FINE),
    "of a length": (of_length, FINE, FINE),
    "after a 100": (partial(proper, before=b"HTTP/1.1 100 Continue\r\n\r\n"), FINE, FINE),
    "after hints": (partial(proper, before=b"HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"), FINE, FINE),
    "with trailers": (partial(proper, after=b"0\r\nx-sum: 1\r\n\r\n"), FINE, FINE),
    "of HTTP 1.0": (_http_1_0, FINE, FINE),
    "half closed": (_half_closed, FINE, FINE),
    "a 201": (partial(of_length, status="201 Created"), FINE, FINE),
    "compressed": (_compressed, FINE, FINE),
    "whole where a stream was asked for": (partial(_coded, "gzip", gzip.compress(WHOLE)), FINE, FINE),
    # https://github.com/musistudio/claude-code-router/pull/1672, https://github.com/Azure/fetch-event-source/issues/1
    "cut within a character": (_in_pieces, FINE, FINE),
    # https://github.com/opensandbox-group/OpenSandbox/issues/1461
    "whole, and then a reset": (_then_reset, FINE, FINE),
    # https://github.com/BerriAI/litellm/pull/33222
    "reset before a word": (_role_alone, FAILED, FAILED),
    "without the last chunk": (partial(proper, after=b""), FAILED, FINE),
    "shorter than it says": (partial(of_length, wrong_by=50), FAILED, FINE),
    "longer than it says": (partial(of_length, wrong_by=-20), FAILED, FAILED),
    "of no HTTP": (partial(_raw, b"SSH-2.0-OpenSSH_9.2\r\n"), FAILED, FAILED),
    "hung up on": (hang_up, FAILED, FAILED),
    "reset": (lambda connection, asked: reset(connection), FAILED, FAILED),
    "of two lengths": (partial(of_length, more=("content-length: 3",)), FAILED, FAILED),
    "with a NUL in a header": (partial(of_length, more=("x-odd: a\0b",)), FAILED, FAILED),
    "with a header that is no ASCII": (partial(of_length, more=("x-city: São Paulo",)), FINE, FINE),
    "with a header without end": (partial(of_length, more=("x-long: " + "a" * 20_000,)), FAILED, FAILED),
    "with 300 headers": (partial(of_length, more=tuple(f"x-{number}: 1" for number in range(300))), FAILED, FAILED),
    "with nonsense for a chunk": (partial(beginning, then=_nonsense), FAILED, BROKE),
    "broken off by an end": (partial(beginning, then=hang_up), FAILED, BROKE),
    "broken off by a reset": (partial(beginning, then=reset), FAILED, BROKE),
    "compressed in another way": (partial(_coded, "br", WHOLE), FAILED, FAILED),
    "half compressed": (partial(_coded, "gzip", gzip.compress(WHOLE)[:-20]), FAILED, FAILED),
    "a bomb": (partial(_coded, "gzip", gzip.compress(b" " * 80_000_000)), TOO_LARGE, TOO_LARGE),
    "an empty 202": (partial(_empty, "202 Accepted\r\ncontent-length: 0"), FAILED, FAILED),
    "a 204": (partial(_empty, "204 No Content"), FAILED, FAILED),
    "a 304": (partial(_empty, "304 Not Modified"), FAILED, FAILED),
    "a status of no class": (partial(of_length, status="999 Odd"), FAILED, FAILED),
    "moved on the host": (partial(_redirect, "307 Moved", "/v1/elsewhere/chat/completions"), FINE, FINE),
    "moved to another host": (
        partial(_redirect, "307 Moved", "http://localhost:9/v1/chat/completions"),
        FAILED,
        FAILED,
    ),
    "moved in a circle": (partial(_redirect, "308 Moved", "/v1/chat/completions"), FAILED, FAILED),
    "moved to nowhere": (partial(_redirect, "307 Moved", ""), FAILED, FAILED),
    "moved, to be got": (partial(_redirect, "302 Found", "/v1/page"), FAILED, FAILED),
    "a choice of places": (partial(_redirect, "300 Choices", "/v1/page"), FAILED, FAILED),
}
