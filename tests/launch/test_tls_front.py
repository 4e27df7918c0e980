"""What a client can do to a connection before its handshake has ended, and behind it: uvicorn with TLS in front."""

import asyncio
import os
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
import uvloop

from scalix.serving import tls
from scalix.serving.tls import TlsFront
from tests.authority import Authority
from tests.launch.test_http_protocol import GOOD, LARGE_BYTES, Quick, app, ended
from tests.launch.test_refused_at_once import NO, REFUSED
from tests.launch.test_refused_at_once import App as Refusing

HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"  # how a handshake begins
Served = Callable[[int, ssl.SSLContext], Awaitable[None]]


class QuickFront(TlsFront):
    connection = Quick
    handshake_s = 0.5
    most_handshakes = 8


@pytest.fixture
def serve(tmp_path: Path) -> Callable[[Served], None]:
    """Runs a test against a server on the loop that workers have."""
    authority = Authority(tmp_path)
    files = authority.issue(tmp_path)

    def run(test: Served) -> None:
        async def whole() -> None:
            fd = os.memfd_create("certificate")
            os.write(fd, files[0].read_bytes() + files[1].read_bytes())
            async with serving(QuickFront(fd, "1.3")) as port, asyncio.timeout(30):
                await test(port, authority.trusted())
            os.close(fd)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(whole())

    return run


@asynccontextmanager
async def serving(front: TlsFront, served: Any = app) -> AsyncIterator[int]:
    protocol: Any = front.protocol
    config = uvicorn.Config(
        served,
        http=protocol,
        lifespan="off",
        log_config=None,
        interface="asgi3",
        proxy_headers=False,  # the app itself is asked for refusals
        server_header=False,
        port=0,
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def connected(port: int, trusted: ssl.SSLContext) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", port, ssl=trusted, server_hostname="localhost")


async def rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("begun", [b"", HELLO, HELLO + b"x" * 200])
def test_a_client_that_does_not_end_its_handshake_is_dropped(serve: Callable[[Served], None], begun: bytes) -> None:
    async def test(port: int, trusted: ssl.SSLContext) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        assert len(await rest(reader)) < 100
        writer.close()

    serve(test)


@pytest.mark.parametrize("said", [b"\x00\x01\x02", HELLO + b"no handshake at all" * 50, b"\x80\x2e\x01\x00\x02"])
def test_what_is_no_tls_ends_the_connection(serve: Callable[[Served], None], said: bytes) -> None:
    async def test(port: int, trusted: ssl.SSLContext) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(said)
        assert len(await rest(reader)) < 100
        writer.close()

    serve(test)


def test_many_clients_that_do_not_end_their_handshake_keep_nobody_out(serve: Callable[[Served], None]) -> None:
    async def test(port: int, trusted: ssl.SSLContext) -> None:
        # More than there may be handshakes, and than there may be connections, again and again.
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3 * Quick.most_connections)]
        for _, writer in held:
            writer.write(HELLO)
        reader, writer = await connected(port, trusted)
        writer.write(GOOD)
        assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        for _, writer in held:
            writer.close()

    serve(test)


def test_behind_tls_the_bounds_of_a_connection_hold(serve: Callable[[Served], None]) -> None:
    async def test(port: int, trusted: ssl.SSLContext) -> None:
        # Silence, a head without an end, one that is too large, and what is no HTTP.
        for said, answer in (
            (b"", b""),
            (b"GET / HTTP/1.1\r\nx: ", b""),
            (b"GET / HTTP/1.1\r\nx: " + b"y" * 70_000, b"HTTP/1.1 431 "),
            (b"\x00\x01\r\n\r\n", b"HTTP/1.1 400 "),
        ):
            reader, writer = await connected(port, trusted)
            writer.write(said)
            assert (await rest(reader)).startswith(answer), said[:20]
            writer.close()

    serve(test)


def test_behind_tls_what_is_known_is_refused_before_the_app_is_called(tmp_path: Path) -> None:
    authority, refusing = Authority(tmp_path), Refusing()

    async def test() -> None:
        fd = os.memfd_create("certificate")
        os.write(fd, b"".join(file.read_bytes() for file in authority.issue(tmp_path)))
        async with serving(QuickFront(fd, "1.3"), refusing) as port, asyncio.timeout(30):
            reader, writer = await connected(port, authority.trusted())
            writer.write(2 * REFUSED)
            for _ in range(2):
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 429 ")
                await reader.readexactly(len(b'{"error":{}}'))
            writer.close()
        os.close(fd)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())
    assert (refusing.asked, refusing.served) == ([NO, NO], [])


def test_behind_tls_a_client_that_reads_nothing_is_let_go(serve: Callable[[Served], None]) -> None:
    async def test(port: int, trusted: ssl.SSLContext) -> None:
        ended.clear()
        _reader, writer = await connected(port, trusted)
        writer.write(b"GET /endless HTTP/1.1\r\nhost: here\r\n\r\n")
        while not ended:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        writer.transport.abort()

    serve(test)


def test_behind_tls_a_large_answer_comes_whole(serve: Callable[[Served], None]) -> None:
    async def test(port: int, trusted: ssl.SSLContext) -> None:
        reader, writer = await connected(port, trusted)
        writer.write(b"GET /large HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n")
        assert (await rest(reader)).count(b"x") >= LARGE_BYTES
        writer.close()

    serve(test)


def test_behind_tls_a_client_that_goes_before_its_answer_is_noticed(
    serve: Callable[[Served], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(port: int, trusted: ssl.SSLContext) -> None:
        left = asyncio.Event()
        monkeypatch.setattr("tests.launch.test_http_protocol.left", left)
        _, writer = await connected(port, trusted)
        writer.write(b"GET /slow HTTP/1.1\r\nhost: here\r\n\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)
        writer.close()
        await left.wait()

    serve(test)


def test_the_metric_tells_the_end_of_the_certificate_that_is_in_force(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_front", [])
    assert tls.certificate_expires_at_s() is None
    authority, fd = Authority(tmp_path), os.memfd_create("certificate")

    def told() -> float | None:
        return tls.certificate_expires_at_s()

    def write(days: float) -> None:
        text = b"".join(file.read_bytes() for file in authority.issue(tmp_path, days=days))
        os.pwrite(fd, text, 0)
        os.ftruncate(fd, len(text))
        os.utime(fd, (days, days))

    write(1)
    assert tls.front_of(str(fd), None) is not None
    assert told() == pytest.approx(time.time() + 86_400, abs=60)
    write(9)
    assert told() == pytest.approx(time.time() + 9 * 86_400, abs=60)
    # Half written, as the launcher is at it: the one before counts.
    os.ftruncate(fd, 100)
    os.utime(fd, (5, 5))
    assert told() == pytest.approx(time.time() + 9 * 86_400, abs=60)
