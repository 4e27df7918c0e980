"""Answers that are sent in one write: what the client gets is what two ASGI messages would have given it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from scalix.edge.asgi import ClientSend, send_bytes
from scalix.serving.http_protocol import BoundedHttpProtocol

App = Callable[[Any, Any, Any], Awaitable[None]]
HEADERS = [(b"x-request-id", b"r-1"), (b"retry-after", b"7")]
BODY = b'{"error":{}}'


async def answers(app: App, requests: bytes) -> bytes:
    """All that a client reads that sends `requests` on one connection and then waits for its end."""
    config = uvicorn.Config(app, http=BoundedHttpProtocol, log_config=None, interface="asgi3", timeout_keep_alive=1)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedHttpProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(requests)
        seen = await asyncio.wait_for(reader.read(), 30)
        writer.close()
        return seen
    finally:
        server.close()


def parts(answer: bytes) -> tuple[bytes, set[bytes], bytes]:
    """Status line, headers in no order, body."""
    head, _, body = answer.partition(b"\r\n\r\n")
    line, *headers = head.split(b"\r\n")
    return line, set(headers), body


async def at_once(scope: Any, receive: Any, send: Any) -> None:
    await send_bytes(ClientSend(scope, send), 429, BODY, HEADERS)


async def in_two(scope: Any, receive: Any, send: Any) -> None:
    await send_bytes(send, 429, BODY, HEADERS)


@pytest.mark.parametrize("version", [b"1.0", b"1.1"])
@pytest.mark.parametrize("method", [b"GET", b"HEAD"])
async def test_the_client_sees_no_difference(method: bytes, version: bytes) -> None:
    request = method + b" /v1/x HTTP/" + version + b"\r\nhost: a\r\nconnection: close\r\n\r\n"
    assert parts(await answers(at_once, request)) == parts(await answers(in_two, request))


async def test_a_connection_is_kept_for_the_next_request() -> None:
    request = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\n{}"
    seen = await answers(at_once, request * 3 + request.replace(b"host: a", b"host: a\r\nconnection: close"))
    assert seen.count(b"HTTP/1.1 429") == 4
    assert seen.count(BODY) == 4
    assert seen.count(b"connection: close") == 1


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb", b"a\0b"])
async def test_a_header_never_ends_early(value: bytes) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send_bytes(ClientSend(scope, send), 200, BODY, [(b"x-tier", value)])

    seen = await answers(app, b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
    assert b"set-cookie" not in seen
    assert not seen.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("at_once", [True, False])
async def test_the_status_is_noted_whichever_way_it_goes_out(at_once: bool) -> None:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    to_client = ClientSend({"scalix.whole_answer": lambda *answer: at_once}, send)
    await send_bytes(to_client, 201, BODY, HEADERS)
    assert to_client.status == 201
    assert len(messages) == (0 if at_once else 2)
