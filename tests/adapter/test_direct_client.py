"""The direct engine's requests go out as LiteLLM's own do: by its session, or by httpx where an operator has that."""

import asyncio
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import aiohttp
import httpx
import pytest
from litellm.llms.custom_httpx.http_handler import AsyncHTTPHandler

from scalix.domain.failures import HANDLING
from scalix.litellm_adapter.bounded_sending import bound_sending
from scalix.litellm_adapter.direct_client import DirectClient, DirectRequest, Target
from scalix.litellm_adapter.provider_calls import Answered, ProviderCall
from scalix.litellm_adapter.provider_transport import install_reading
from scalix.litellm_adapter.seam_checks import found_at
from tests.exchanges import made_exchange

EXTENSIONS = {"timeout": {"connect": 3, "read": 5, "write": 5, "pool": 7}}


@asynccontextmanager
async def listening(answer: bytes) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server that gives one answer. Its port, and what it was sent."""
    sent: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sent.append(head + await reader.readexactly(2))
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], sent


async def asked(url: str) -> tuple[int, bytes, Any]:
    """What comes of asking there: status, body and headers."""
    install_reading()
    async with aiohttp.ClientSession() as session:
        transport = AsyncHTTPHandler.create_async_transport(shared_session=session) or httpx.AsyncHTTPTransport()
        headers = httpx.Headers({"authorization": "Bearer k", "x-team": "a"})
        target = Target(httpx.URL(url), headers, EXTENSIONS)
        came = await DirectClient(httpx.AsyncClient(transport=transport)).send(DirectRequest(target, b"{}"))
        return came.status_code, await came.aread(), came.headers


@pytest.mark.parametrize("by_httpx", [False, True])
async def test_a_request_is_sent_as_it_was_built(by_httpx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", str(by_httpx))
    answer = b"HTTP/1.1 201 Created\r\nX-Of-It: b\r\ncontent-length: 2\r\n\r\nhi"
    async with listening(answer) as (port, sent):
        status, body, headers = await asked(f"http://127.0.0.1:{port}/v1/a%2Fb?version=1")
    assert (status, body, headers["x-of-it"]) == (201, b"hi", "b")
    line, *fields = sent[0].lower().splitlines()
    assert line == b"post /v1/a%2fb?version=1 http/1.1"
    assert {b"authorization: bearer k", b"x-team: a", b"accept-encoding: gzip, deflate", b"content-length: 2"} <= {
        *fields
    }
    assert sum(field.startswith((b"host:", b"content-length:", b"accept-encoding:")) for field in fields) == 3
    assert sent[0].endswith(b"{}")


async def test_a_proxy_of_the_environment_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as (port, sent):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{port}")
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
        await asked("http://provider.test/v1/x")
    assert sent[0].startswith(b"POST http://provider.test/v1/x HTTP/1.1\r\n")


@pytest.mark.parametrize("by_httpx", [False, True])
async def test_what_redirects_to_another_host_is_an_error(by_httpx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", str(by_httpx))
    answer = b"HTTP/1.1 307 Moved\r\nlocation: http://elsewhere.test/\r\ncontent-length: 0\r\n\r\n"
    async with listening(answer) as (port, _):
        status, body, _ = await asked(f"http://127.0.0.1:{port}/v1/x")
    assert status == 502
    assert b"another host" in body


@pytest.mark.parametrize("by_httpx", [False, True])
async def test_where_nobody_listens_there_is_no_connection(by_httpx: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", str(by_httpx))
    with pytest.raises(httpx.ConnectError):
        await asked("http://127.0.0.1:1/v1/x")


def test_what_is_sent_on_a_connection_whose_other_end_has_gone_waits_a_minute_at_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own: Any = found_at("litellm.llms.custom_httpx.http_handler:build_aiohttp_keepalive_socket_factory")
    monkeypatch.setattr(f"{own.__module__}.{own.__name__}", own)  # put back afterwards
    monkeypatch.setattr(f"{own.__module__}.AIOHTTP_SO_KEEPALIVE", True)
    bound_sending()
    make = found_at(f"{own.__module__}:build_aiohttp_keepalive_socket_factory")()
    with make((socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1))) as made:
        assert made.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
        assert made.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """This process can open nothing more."""
    before, free = resource.getrlimit(resource.RLIMIT_NOFILE), os.dup(0)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("by_httpx", [False, True])
async def test_a_provider_is_not_blamed_where_this_machine_can_connect_to_nobody(
    by_httpx: bool, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISABLE_AIOHTTP_TRANSPORT", str(by_httpx))
    install_reading()
    exchange = made_exchange()
    async with aiohttp.ClientSession() as session, listening(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n") as at:
        transport = AsyncHTTPHandler.create_async_transport(shared_session=session) or httpx.AsyncHTTPTransport()
        client = DirectClient(httpx.AsyncClient(transport=transport))
        request = DirectRequest(Target(httpx.URL(f"http://{host}:{at[0]}/v1/x"), httpx.Headers(), EXTENSIONS), b"{}")
        with no_descriptor_left(), pytest.raises(httpx.ConnectError):
            await ProviderCall(exchange, request).answer(partial(client.send, request))
        assert exchange.attempt.seen.error is not None
        assert not HANDLING[exchange.attempt.seen.error.error_class].cools
        came = await ProviderCall(exchange, request).answer(partial(client.send, request))
        assert not isinstance(came, Answered)
        assert came.status_code == 200


async def test_a_host_of_which_one_address_is_dead_is_reached_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with listening(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi") as (port, _):
        with socket.create_server(("127.0.0.2", port), backlog=0) as dead, ExitStack() as stack:
            for _ in range(2):  # who wait to be taken, so that the next one waits for ever
                waiting = stack.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(dead.getsockname())

            async def found(*of_the_host: Any, **more: Any) -> list[Any]:
                kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
                return [(*kind, (address, port)) for address in ("127.0.0.2", "127.0.0.1")]

            monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", found)
            async with asyncio.timeout(20):
                assert (await asked(f"http://provider.test:{port}/v1/x"))[:2] == (200, b"hi")


async def test_a_connection_that_its_server_has_closed_is_not_used_and_one_that_dies_is_asked_once() -> None:
    """vLLM and others close what is idle for five seconds: https://github.com/aio-libs/aiohttp/issues/9138."""
    asked_on: list[int] = []  # the number of its connection, for each request
    connections = 0
    dies = False

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        number = connections
        await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(2)
        asked_on.append(number)
        if not dies:
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi")
        writer.close()  # which its head has not said

    install_reading()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, aiohttp.ClientSession() as session:
        client = DirectClient(
            httpx.AsyncClient(transport=AsyncHTTPHandler.create_async_transport(shared_session=session))
        )
        url = httpx.URL(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1/x")
        request = DirectRequest(Target(url, httpx.Headers(), EXTENSIONS), b"{}")

        async def answer() -> bytes:
            came = await ProviderCall(made_exchange(), request).answer(partial(client.send, request))
            assert not isinstance(came, Answered)
            return await came.aread()

        for _ in range(5):
            assert await answer() == b"hi"
        assert asked_on == [1, 2, 3, 4, 5]
        dies = True
        with pytest.raises(httpx.TransportError):
            await answer()
    assert asked_on == [1, 2, 3, 4, 5, 6]
