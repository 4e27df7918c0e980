"""What a client can do to a connection before any app sees a request: uvicorn with our bounds, over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import uvicorn

from scalix.serving.http_protocol import LARGEST_HEAD_BYTES, BoundedHttpProtocol

GOOD = b"GET /ok HTTP/1.1\r\nhost: here\r\n\r\n"


class Quick(BoundedHttpProtocol):
    head_s = 0.3
    silent_s = 0.5
    linger_s = 0.3
    unread_s = 0.3
    most_connections = 20


async def app(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the path and the headers; reads the body only of `/read`."""
    body = b""
    if scope["path"] == "/read":
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
    if scope["path"] == "/slow":
        await slow(receive, send)
        return
    if scope["path"] == "/endless":
        await endless(send)
        return
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * LARGE_BYTES})
        return
    names = b",".join(name for name, _ in scope["headers"])
    answer = scope["path"].encode() + b"|" + names + b"|" + body
    head = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": answer})


LARGE_BYTES = 8 * 1024 * 1024
ended: list[int] = []


async def slow(receive: Any, send: Any) -> None:
    """Answers a little later, or notes that the client has gone."""
    await receive()
    gone = asyncio.ensure_future(receive())
    done, _ = await asyncio.wait((gone,), timeout=0.3 if left is None else None)
    gone.cancel()
    if done:
        assert left is not None
        left.set()
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"late"})


left: asyncio.Event | None = None


async def endless(send: Any) -> None:
    """A stream without an end, until sending does nothing more; notes how many parts were taken."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    parts = 0
    try:
        for parts in range(1_000):  # noqa: B007
            await send({"type": "http.response.body", "body": b"y" * 65_536, "more_body": True})
    finally:
        ended.append(parts)


@asynccontextmanager
async def serving() -> AsyncIterator[int]:
    config = uvicorn.Config(app, http=Quick, lifespan="off", log_config=None, server_header=False, port=0)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await task


async def say(port: int, *parts: bytes, pause_s: float = 0.0, until: Callable[[bytes], bool] | None = None) -> bytes:
    """What the server answers to these bytes until it closes, or until `until` holds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answer = b""
    try:
        async with asyncio.timeout(10):
            for part in parts:
                try:
                    writer.write(part)
                    await writer.drain()
                except ConnectionError:
                    break
                if pause_s:
                    await asyncio.sleep(pause_s)
            try:
                while part := await reader.read(65536):
                    answer += part
                    if until and until(answer):
                        break
            except ConnectionError:
                pass
    finally:
        writer.close()
    return answer


def whole(answer: bytes) -> bool:
    return b"\r\n\r\n/" in answer


async def test_a_plain_request_is_answered() -> None:
    async with serving() as port:
        assert (await say(port, GOOD, until=whole)).endswith(b"/ok|host|")


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with serving() as port:
        assert await say(port) == b""


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_a_client_that_ends_its_side_after_its_request_is_served(version: bytes) -> None:
    async with serving() as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /slow HTTP/" + version + b"\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}")
        writer.write_eof()
        answer = await reader.read()
        writer.close()
    assert answer.count(b" 200 OK") == 1
    assert b"late" in answer


async def test_a_client_that_goes_after_its_request_is_noticed_before_the_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gone = asyncio.Event()
    monkeypatch.setitem(globals(), "left", gone)
    async with serving() as port, asyncio.timeout(10):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /slow HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}")
        writer.close()
        await gone.wait()


async def test_a_client_that_ends_its_side_after_several_requests_reads_all_answers_and_nothing_between() -> None:
    async with serving() as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"POST /slow HTTP/1.1\r\nhost: here\r\ncontent-length: 2\r\n\r\n{}" + GOOD)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
    assert answer.count(b"HTTP/1.1") == answer.count(b" 200 OK") == 2


async def test_a_head_that_trickles_in_is_cut_off_however_steady_it_is() -> None:
    async with serving() as port:
        pieces = [GOOD[index : index + 1] for index in range(len(GOOD) - 1)]
        assert await say(port, *pieces, pause_s=0.05) == b""


async def test_a_second_head_has_its_own_time() -> None:
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            for _ in range(3):
                writer.write(GOOD)
                await reader.readuntil(b"/ok|host|")
                await asyncio.sleep(0.2)
            writer.write(GOOD[:10])
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("filler", [b"x-%d: y\r\n", b"x: " + b"y" * 1000, b"\r\n"], ids=["many", "one long", "empty"])
async def test_a_head_of_any_size_is_not_kept(filler: bytes) -> None:
    async with serving() as port:
        size = LARGEST_HEAD_BYTES + 200_000
        text = b"".join(filler % n if b"%d" in filler else filler for n in range(size // len(filler) + 1))
        start = b"" if filler == b"\r\n" else b"GET / HTTP/1.1\r\n"
        answer = await say(port, start + text)
        assert answer == b"" or b" 431 " in answer.split(b"\r\n")[0]


async def test_a_head_that_is_too_large_is_told_so_before_it_ends() -> None:
    head = b"GET / HTTP/1.1\r\nx: "
    async with serving() as port:
        # No byte is left unread, for which the connection would be reset.
        answer = await say(port, head + b"y" * (LARGEST_HEAD_BYTES + 1 - len(head)))
        assert answer.startswith(b"HTTP/1.1 431 ")


async def test_trailers_are_no_headers() -> None:
    request = (
        b"POST /read HTTP/1.1\r\nhost: here\r\ntransfer-encoding: chunked\r\n\r\n"
        b"2\r\nhi\r\n0\r\nauthorization: Bearer late\r\n\r\n"
    )
    async with serving() as port:
        answer = await say(port, request, until=whole)
        assert answer.endswith(b"/read|host,transfer-encoding|hi")


async def test_a_body_that_nobody_reads_does_not_keep_its_connection() -> None:
    head = b"POST /refused HTTP/1.1\r\nhost: here\r\ncontent-length: 1000000\r\n\r\n"
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        async with asyncio.timeout(10):
            await reader.readuntil(b"/refused|host,content-length|")
            with pytest.raises(ConnectionError):  # noqa: PT012
                while True:
                    writer.write(b"x")
                    await writer.drain()
                    await asyncio.sleep(0.02)


async def test_a_body_that_comes_after_its_answer_leaves_the_connection_as_it_was() -> None:
    head = b"POST /refused HTTP/1.1\r\nhost: here\r\ncontent-length: 3\r\n\r\n"
    async with serving() as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(10):
            writer.write(head)
            await reader.readuntil(b"/refused|host,content-length|")
            writer.write(b"abc")
            await asyncio.sleep(0.5)
            writer.write(GOOD)
            await reader.readuntil(b"/ok|host|")
        writer.close()


async def test_a_request_to_a_proxy_has_no_path_of_ours() -> None:
    async with serving() as port:
        answer = await say(port, b"GET http://here/ok HTTP/1.1\r\nhost: here\r\n\r\n", until=lambda a: b"|host|" in a)
        assert b"http://here/ok|host|" in answer


NO_HTTP = (
    b"POST /read HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /read HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    b"POST /read HTTP/1.1\r\nhost: h\r\ncontent-length: -1\r\n\r\n",
    b"POST /read HTTP/1.1\r\nhost: h\r\ncontent-length: +3\r\n\r\nabc",
    b"POST /read HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999999999999999999\r\n\r\n",
    b"POST /read HTTP/1.1\r\nhost: h\r\ntransfer-encoding: identity, chunked, gzip\r\n\r\n0\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nhost : here\r\n\r\n",
    b"GET /ok HTTP/1.1\r\n host: here\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nhost: here\r\nx: a\x00b\r\n\r\n",
    b"GET /ok HTTP/1.1\r\nhost: here\r\nx: a\rb\r\n\r\n",
    b"GET /ok HTTP/9.9\r\nhost: here\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nhost: here\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT here:443 HTTP/1.1\r\nhost: here\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
)


async def test_what_is_no_http_is_refused_by_the_parser() -> None:
    async with serving() as port:
        for request in NO_HTTP:
            answer = await say(port, request)
            assert answer.startswith(b"HTTP/1.1 400") or answer == b"", request
        assert (await say(port, GOOD, until=whole)).endswith(b"/ok|host|")


async def test_more_connections_than_there_is_room_for_are_closed_at_once() -> None:
    async with serving() as port:
        held = [await asyncio.open_connection("127.0.0.1", port) for _ in range(Quick.most_connections)]
        await asyncio.sleep(0.05)
        assert await say(port, GOOD) == b""
        for _, writer in held:
            writer.close()
        await asyncio.sleep(0.05)
        assert (await say(port, GOOD, until=whole)).endswith(b"/ok|host|")


async def unread(port: int, path: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A connection whose client asks for `path`, and reads no answer."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    client.setblocking(False)
    await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", port))
    reader, writer = await asyncio.open_connection(sock=client, limit=1_024)
    writer.write(b"GET " + path + b" HTTP/1.1\r\nhost: h\r\n\r\n")
    return reader, writer


async def test_a_client_that_reads_nothing_of_a_stream_is_let_go_and_the_app_goes_on() -> None:
    ended.clear()
    async with serving() as port:
        _, writer = await unread(port, b"/endless")
        async with asyncio.timeout(20):
            while not ended:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        writer.close()
        assert (await say(port, GOOD, until=whole)).endswith(b"/ok|host|")


async def test_a_client_that_reads_nothing_of_a_whole_answer_is_let_go() -> None:
    async with serving() as port:
        reader, writer = await unread(port, b"/large")
        async with asyncio.timeout(20):
            await asyncio.sleep(1.5)
            size = 0
            with suppress(ConnectionError):
                while piece := await reader.read(65_536):
                    size += len(piece)
        assert size < LARGE_BYTES
        writer.close()


async def test_a_client_that_reads_slowly_but_steadily_gets_all_of_its_answer() -> None:
    async with serving() as port:
        reader, writer = await unread(port, b"/large")
        size = 0
        async with asyncio.timeout(60):
            while size < LARGE_BYTES:
                piece = await reader.read(65_536)
                assert piece, size
                size += len(piece)
                if size < 500_000:
                    await asyncio.sleep(0.01)
        writer.close()
