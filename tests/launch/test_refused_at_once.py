"""The protocol asks the app for a refusal before it makes a task, for whole requests that it may answer at once."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from scalix.serving.http_protocol import AT_ONCE_OF_A_READ, MOST_PIPELINED, BoundedHttpProtocol

NO, YES = b"no!", b"yes"
HEAD = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n"
REFUSED = HEAD + b"\r\n" + NO
SERVED = HEAD + b"\r\n" + YES


class App:
    """Refuses at once what says no; serves the rest, and says what it was sent."""

    refusable_paths = frozenset({"/v1/x"})

    def __init__(self) -> None:
        self.asked: list[bytes] = []
        self.served: list[bytes] = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    def refuse_at_once(self, scope: Any, body: bytes) -> Any:
        self.asked.append(body)
        assert (scope["type"], scope["method"], scope["path"], scope["raw_path"]) == ("http", "POST", "/v1/x", b"/v1/x")
        assert scope["query_string"] == b""
        if body != NO:
            return None
        return 429, b'{"error":{}}', [(b"retry-after", b"7"), (b"x-request-id", b"r%d" % len(self.asked))]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        self.served.append(body)
        await self.may_go_on.wait()
        length = str(len(body)).encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
        await send({"type": "http.response.body", "body": body})


async def answers(
    app: App,
    *parts: bytes,
    between: Callable[[], object] = lambda: None,
    made: Callable[[BoundedHttpProtocol], object] = lambda protocol: None,
) -> list[tuple[int, bytes]]:
    """Status and body of each answer on one connection, over which `parts` are sent with a turn of the loop between.
    `made` is told of the server's end of it."""
    config = uvicorn.Config(app, http=BoundedHttpProtocol, log_config=None, interface="asgi3", proxy_headers=False)
    config.load()
    state = ServerState()

    def protocol() -> BoundedHttpProtocol:
        new = BoundedHttpProtocol(config=config, server_state=state, app_state={})
        made(new)
        return new

    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0)
    try:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        for part in parts:
            writer.write(part)
            for _ in range(20):
                await asyncio.sleep(0.001)
            between()
        found: list[tuple[int, bytes]] = []
        wanted = b"".join(parts).count(b" HTTP/1.")
        async with asyncio.timeout(10):
            while len(found) < wanted and (line := await reader.readline()):
                headers = {}
                while (text := (await reader.readline()).strip()) != b"":
                    name, _, value = text.partition(b": ")
                    headers[name.lower()] = value
                if line.split()[1] == b"100":
                    continue
                found.append((int(line.split()[1]), await reader.readexactly(int(headers[b"content-length"]))))
        writer.close()
        return found
    finally:
        server.close()


WAS_REFUSED, WAS_SERVED = (429, b'{"error":{}}'), (200, YES)


async def test_a_refusal_needs_no_call_of_the_app() -> None:
    app = App()
    assert await answers(app, REFUSED, SERVED, REFUSED) == [WAS_REFUSED, WAS_SERVED, WAS_REFUSED]
    assert (app.asked, app.served) == ([NO, YES, NO], [YES])


async def test_requests_in_one_packet_are_answered_in_their_order() -> None:
    app = App()
    assert await answers(app, REFUSED + REFUSED + SERVED + REFUSED) == [WAS_REFUSED, WAS_REFUSED, WAS_SERVED, (200, NO)]
    # The last came while the one before was being served, and waited for it.
    assert (app.asked, app.served) == ([NO, NO, YES], [YES, NO])


async def test_nothing_is_answered_before_what_is_still_being_served() -> None:
    app = App()
    app.may_go_on.clear()
    calls = iter([lambda: None, app.may_go_on.set])
    assert await answers(app, SERVED, REFUSED, between=lambda: next(calls)()) == [WAS_SERVED, (200, NO)]


async def test_who_does_not_read_is_the_apps() -> None:
    app, ends = App(), list[BoundedHttpProtocol]()
    calls: Iterator[Callable[[], None]] = iter([lambda: ends[0].pause_writing(), lambda: ends[0].resume_writing()])
    assert await answers(app, SERVED, REFUSED, between=lambda: next(calls)(), made=ends.append) == [
        WAS_SERVED,
        (200, NO),
    ]
    assert app.asked == [YES]


@pytest.mark.parametrize("cut", [len(HEAD) - 20, len(HEAD) + 2, len(HEAD) + 3])
async def test_a_request_that_comes_in_pieces_is_the_apps(cut: int) -> None:
    app = App()
    expected = [WAS_REFUSED] if cut < len(HEAD) else [(200, NO)]
    assert await answers(app, REFUSED[:cut], REFUSED[cut:]) == expected
    assert app.asked == ([NO] if cut < len(HEAD) else [])


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nno!",
        b"POST /v1/y HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nno!",
        b"POST /v1/x?a=b HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nno!",
        b"POST /v1/%78 HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nno!",
        b"POST http://b/v1/x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nno!",
        b"POST /v1/x HTTP/1.0\r\nhost: a\r\ncontent-length: 3\r\n\r\nno!",
        HEAD + b"expect: 100-continue\r\n\r\n" + NO,
        b"POST /v1/x HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\nno!",
        b"POST /v1/x HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: h2c\r\ncontent-length: 3\r\n\r\nno!",
    ],
)
async def test_what_is_out_of_the_ordinary_is_the_apps(request_: bytes) -> None:
    app = App()
    ((status, _),) = await answers(app, request_)
    assert (status, app.asked) == (200, [])
    assert app.served


async def test_a_client_that_waits_for_leave_to_send_its_body_gets_it_from_the_app() -> None:
    app = App()
    head = HEAD + b"expect: 100-continue\r\n\r\n"
    config = uvicorn.Config(app, http=BoundedHttpProtocol, log_config=None, interface="asgi3", proxy_headers=False)
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(
        lambda: BoundedHttpProtocol(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
    writer.write(head)
    assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"100"
    writer.write(NO)
    await reader.readline()
    assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"200"
    assert app.asked == []
    writer.close()
    server.close()


async def test_a_chunked_body_is_taken_as_a_whole() -> None:
    app = App()
    chunked = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n1\r\nn\r\n2\r\no!\r\n0\r\n\r\n"
    assert await answers(app, chunked, SERVED) == [WAS_REFUSED, WAS_SERVED]


async def test_what_is_no_http_after_a_head_is_no_request() -> None:
    app = App()
    broken = b"POST /v1/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"
    ((status, _),) = await answers(app, broken)
    assert (status, app.asked, app.served) == (400, [], [])


async def test_a_header_with_the_end_of_a_line_in_it_is_not_written() -> None:
    class Splitting(App):
        def refuse_at_once(self, scope: Any, body: bytes) -> Any:
            return 429, b"{}", [(b"x-name", b"a\r\nset-cookie: b")]

    app = Splitting()
    assert await answers(app, REFUSED) == [(200, NO)]


async def test_many_requests_in_one_packet_leave_room_for_others() -> None:
    app = App()
    many = AT_ONCE_OF_A_READ + 4
    found = await answers(app, REFUSED * many)
    # What is over goes the usual way, one turn of the loop each, and is answered there.
    assert found == [WAS_REFUSED] * AT_ONCE_OF_A_READ + [(200, NO)] * 4
    assert len(app.asked) == AT_ONCE_OF_A_READ


async def test_a_client_that_sends_ahead_without_end_is_let_go() -> None:
    app = App()
    app.may_go_on.clear()
    found: list[Any] = []
    with suppress(ConnectionError, asyncio.IncompleteReadError):
        found = await answers(app, SERVED * (MOST_PIPELINED + 2), between=app.may_go_on.set)
    assert len(found) <= 1
    assert len(app.served) <= 1


async def test_as_many_as_may_be_sent_ahead_are_answered() -> None:
    app = App()
    assert await answers(app, SERVED * (MOST_PIPELINED + 1)) == [WAS_SERVED] * (MOST_PIPELINED + 1)


async def test_a_stream_after_a_refusal_is_not_taken_for_silence() -> None:
    app = App()
    app.may_go_on.clear()
    timers: list[Any] = []

    def between() -> None:
        protocols = [one for one in gc.get_objects() if isinstance(one, BoundedHttpProtocol) and one.app is app]
        timers.extend(one.timeout_keep_alive_task for one in protocols)
        app.may_go_on.set()

    assert await answers(app, REFUSED + SERVED, between=between) == [WAS_REFUSED, WAS_SERVED]
    assert timers == [None]  # there is none that would close the connection while the second one is served
