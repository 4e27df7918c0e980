"""uvicorn's HTTP protocol with the bounds that it lacks: for heads, silence, slow readers and connections.

uvicorn alone waits for a head without end, takes heads of any size, takes the trailers of a chunked body for headers,
reads an unwanted body for as long as it comes, and keeps answers that the client does not read.
"""

import resource
from asyncio import TimerHandle
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState as UvicornsState

from scalix.serving.slow_readers import WriteWatch
from scalix.serving.stream_parts import EXTENSION as STREAM_PART
from scalix.serving.stream_parts import send_part
from scalix.serving.whole_answers import EXTENSION, as_bytes, send_whole

LARGEST_HEAD_BYTES = 64 * 1024
# From the first byte of a head to its end.
HEAD_S = 15.0
# A new connection that says nothing; proxies may open some ahead of use.
SILENT_S = 60.0
# How long the rest of a body may take after its answer: enough for a client to read the answer.
LINGER_S = 5.0
# How long a client may read nothing of its answer; what was written for it counts as delivered.
UNREAD_S = 60.0
# A client that has gone answers the first interim response with a reset, which the second one meets.
PROBE_S, PROBE_AGAIN_S = 0.05, 1.0
# Between requests. Clients and proxies keep connections for a minute, and a request on one that has just been closed
# here would fail.
KEEP_ALIVE_S = 75
_DESCRIPTORS_KEPT_BACK = 256
# So many requests of one read are answered at once; the others wait their turn in the loop.
AT_ONCE_OF_A_READ = 16
# Requests that may wait for the answer to the one before. Usual clients send none ahead.
MOST_PIPELINED = 64
# The key in a scope of a dict that lasts as long as the connection.
CONNECTION = "scalix.connection"
_FEWEST_CONNECTIONS = 64


def _most_connections() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return 1_000_000
    # The rest is for the store, providers and files; without it a flood of connections would stop the worker.
    return max(_FEWEST_CONNECTIONS, soft - max(_DESCRIPTORS_KEPT_BACK, soft // 4))


class ServerState(UvicornsState):
    """What the connections of a server share. `leaving`: each request is the last one of its connection."""

    leaving = False


class BoundedHttpProtocol(HttpToolsProtocol):
    """One connection of a client."""

    head_s = HEAD_S
    silent_s = SILENT_S
    linger_s = LINGER_S
    unread_s = UNREAD_S
    most_connections = _most_connections()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = True
        self._head_bytes = 0
        self._head_timer: TimerHandle | None = None
        self._linger_timer: TimerHandle | None = None
        self._head_begun = False
        self._unread: WriteWatch
        # An app may have a say before a task is made: see `Gate.refuse_at_once`.
        self._refuse_at_once = getattr(self.app, "refuse_at_once", None)
        self._refusable = frozenset(path.encode() for path in getattr(self.app, "refusable_paths", ()))
        self._held: list[bytes] | None = None  # the body so far of a request that the app has not been called with
        self._at_once_left = 0
        self._notes: dict[str, Any] = {}
        self._unreadable = getattr(self.app, "unreadable", None)  # told of heads that are none

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._unread = WriteWatch(transport, self.loop, self.unread_s)
        if len(self.connections) > self.most_connections:
            transport.abort()
            return
        self._head_timer = self.loop.call_later(self.silent_s, self._head_is_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.stop()
        _stop(self._head_timer)
        _stop(self._linger_timer)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._in_head:
            self._head_bytes += len(data)
        self._at_once_left = AT_ONCE_OF_A_READ
        super().data_received(data)
        if self._held is not None and not self.transport.is_closing():
            self._hand_over()  # the rest of the body has yet to come
        if self._in_head and self._head_bytes and not self._head_begun:
            # Most heads come whole, and need no timer.
            self._head_begun = True
            _stop(self._head_timer)
            self._head_timer = self.loop.call_later(self.head_s, self._head_is_late)
        if self._in_head and self._head_bytes > LARGEST_HEAD_BYTES and not self.transport.is_closing():
            self._refuse_large_head()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client has closed its side: it has gone, or it waits for its answer.

        The two look alike until something is written: a client that has gone answers with a reset. As long as the
        answer has not begun, interim responses (RFC 9110, 15.2) tell them apart. Once it has begun, the client is taken
        for gone, as the next piece of the answer would come too late to stop the model. By TLS it has gone:
        transports know no half-closed connection there, and usual clients make none.
        """
        cycle = self.cycle
        if cycle is None or cycle.response_started or cycle.more_body or self.scheme == "https":
            return False
        cycle.keep_alive = False
        # HTTP/1.0 knows no interim responses, and in the middle of another answer there is no place for one.
        if cycle.scope["http_version"] == "1.1" and not self.pipeline:
            self._probe(cycle, PROBE_S)
        return True

    def _probe(self, cycle: Any, wait_s: float) -> None:
        if not cycle.response_started and not self.transport.is_closing():
            # Of all of them, this one is known to every client, and passed over by it.
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.loop.call_later(wait_s, self._probe, cycle, PROBE_AGAIN_S)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread.begin()

    def resume_writing(self) -> None:
        super().resume_writing()
        # More is about to be written, unless the answer is complete: then the rest has to be taken too.
        if self.cycle is None or not self.cycle.response_complete:
            self._unread.stop()

    # what the parser calls

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # and not in the trailers of a chunked body
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        _stop(self._head_timer)
        self._in_head = False
        if self._may_be_refused_at_once():
            self._held = []
        else:
            self._call_app()

    def _may_be_refused_at_once(self) -> bool:
        """Whether the app may answer this request at once when its body is whole, without a task."""
        cycle, parser = self.cycle, self.parser
        return (
            self._refuse_at_once is not None
            and self._at_once_left > 0
            and not self._ends()
            and self.url in self._refusable
            and (cycle is None or cycle.response_complete)
            and parser.get_method() == b"POST"
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
            and not parser.should_upgrade()
            and not self.expect_100_continue
            and not self.flow.write_paused
        )

    def _is_refused_at_once(self, body: bytes) -> bool:
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]
        scope.update(method="POST", path=self.url.decode("ascii"), raw_path=self.url, query_string=b"")
        scope[CONNECTION] = self._notes
        answered = self._refuse_at_once(scope, body) if self._refuse_at_once is not None else None
        if answered is None:
            return False
        status, content, headers = answered
        every = [*self.server_state.default_headers, (b"content-type", b"application/json"), *headers]
        answer = as_bytes(status, every, content, keep_alive=True)
        if answer is None:
            return False
        self._at_once_left -= 1
        self.transport.write(answer)
        super().on_response_complete()
        self._unread.begin()
        return True

    def _hand_over(self) -> None:
        """Call the app with a request that was held, and with the body so far."""
        body, self._held = b"".join(self._held or ()), None
        self._call_app()
        if body:
            super().on_body(body)

    def _call_app(self) -> None:
        # It was begun by an answer to another request of the same read.
        self._unset_keepalive_if_required()
        super().on_headers_complete()
        if self._ends():
            self.cycle.keep_alive = False
        if len(self.pipeline) > MOST_PIPELINED:
            self.transport.abort()
        self.scope[EXTENSION] = partial(send_whole, self.cycle)  # type: ignore[literal-required]
        self.scope[STREAM_PART] = partial(send_part, self.cycle)  # type: ignore[literal-required]
        if not self.url.startswith(b"/"):
            # A request to a proxy. It is no route here, whatever the path behind the other host's name.
            self.scope["path"] = self.url[:200].decode("latin-1")
            self.scope["raw_path"] = self.url

    def on_body(self, body: bytes) -> None:
        if self._held is not None:
            self._held.append(body)
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_head, self._head_begun, self._head_bytes = True, False, 0
        _stop(self._linger_timer)
        if self._held is not None:
            if self._is_refused_at_once(b"".join(self._held)):
                self._held = None
                return
            self._hand_over()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._unread.begin()
        cycle = self.cycle
        if cycle.response_complete and cycle.more_body and not self.transport.is_closing():
            _stop(self._linger_timer)
            self._linger_timer = self.loop.call_later(self.linger_s, self.transport.close)

    # the server's end

    def _ends(self) -> bool:
        """Whether the connection is to end with the request at hand."""
        return getattr(self.server_state, "leaving", False)

    def shutdown(self) -> None:
        """The server takes no more requests but one whose head is on its way, for which `head_s` is granted."""
        if not (self._in_head and self._head_bytes):
            super().shutdown()

    # timers

    def _head_is_late(self) -> None:
        if self.cycle is not None and not self.cycle.response_complete:
            # An answer is on its way; the time for the next head begins after it.
            self._head_timer = self.loop.call_later(self.head_s, self._head_is_late)
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse_large_head(self) -> None:
        kind = (b"content-type", b"text/plain; charset=utf-8")
        answer = as_bytes(431, [kind], b"The head of the request is too large.", keep_alive=False)
        self.transport.write(answer or b"")
        self.transport.close()
        self._note_unreadable(431)

    def send_400_response(self, msg: str) -> None:
        super().send_400_response(msg)
        self._note_unreadable(400)

    def _note_unreadable(self, status: int) -> None:
        if self._unreadable is not None:
            self._unreadable(status)


def _stop(timer: TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
