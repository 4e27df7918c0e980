"""Parts of a streamed answer that are written at once: the client gets what ASGI messages would have given it."""

from typing import Any

import pytest

from scalix.edge.asgi import STREAM_PART
from scalix.serving.http_protocol import BoundedHttpProtocol
from tests.launch.test_whole_answers import App, answers, parts

TEXTS = (b"data: one\n\n", b"data: two\n\n", b"data: three\n\n")
START: dict[str, Any] = {"type": "http.response.start", "status": 200, "headers": []}


def streamed(*, at_once: bool, written: list[bool]) -> App:
    """An app that sends all but the first text at once, where the server does, and notes each time whether it does."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        write = scope[STREAM_PART]
        written.append(write(b"too early"))
        await send(START)
        for text in TEXTS:
            is_written = at_once and text is not TEXTS[0] and write(text)
            written.append(is_written)
            if not is_written:
                await send({"type": "http.response.body", "body": text, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        written.append(write(b"too late"))

    return app


@pytest.mark.parametrize(("method", "expected"), [(b"POST", True), (b"HEAD", False)])
async def test_parts_in_between_are_written_as_asgi_writes_them(method: bytes, expected: bool) -> None:
    request = method + b" /v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    written: list[bool] = []
    short_way = await answers(streamed(at_once=True, written=written), request)
    assert written == [False, False, expected, expected, False]
    assert parts(short_way) == parts(await answers(streamed(at_once=False, written=[]), request))


async def test_nothing_is_written_to_a_client_that_does_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[BoundedHttpProtocol] = []
    monkeypatch.setattr(BoundedHttpProtocol, "connection_made", _noting(made, BoundedHttpProtocol.connection_made))
    written: list[bool] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        made[0].pause_writing()
        written.append(scope[STREAM_PART](TEXTS[0]))
        made[0].resume_writing()
        written.append(scope[STREAM_PART](TEXTS[0]))
        await send({"type": "http.response.body", "body": b""})

    request = b"POST /v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    assert (await answers(app, request)).count(TEXTS[0]) == 1
    assert written == [False, True]


def _noting(made: list[BoundedHttpProtocol], own: Any) -> Any:
    def connection_made(self: BoundedHttpProtocol, transport: Any) -> None:
        made.append(self)
        own(self, transport)

    return connection_made
