"""A provider that is a bare socket: it sends what a test has written, when it likes, or hangs up in the middle."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass
class Asked:
    """A request as it came. `connection` and `place` are the numbers of its connection, and of itself there."""

    head: bytes
    body: dict[str, Any]
    connection: int
    place: int

    @property
    def text(self) -> str:
        """The user's last message, by which a test says how it is to be answered."""
        message: str = self.body["messages"][-1]["content"]
        return message


Behaviour = Callable[[socket.socket, Asked], None]


@dataclass
class RawProvider:
    """`behaviour` answers a request on its socket. It raises `Hangup` to have the connection closed afterwards."""

    behaviour: Behaviour
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def times(self, text: str) -> int:
        """How often it was asked so."""
        return sum(one.text == text for one in list(self.asked))


class Hangup(Exception):
    """The provider closes the connection."""


def reset(connection: socket.socket) -> None:
    """Close it so that the other end reads an error in place of an end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    raise Hangup


def head(status: str = "200 OK", kind: str = "application/json", *more: str) -> bytes:
    """The head of an answer."""
    return "\r\n".join((f"HTTP/1.1 {status}", f"content-type: {kind}", *more, "", "")).encode()


def chunked(*pieces: bytes) -> bytes:
    """Chunks of a body, without the last, empty one."""
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)


@contextmanager
def raw_provider(
    behaviour: Behaviour, wrap: Callable[[socket.socket], socket.socket] | None = None
) -> Iterator[RawProvider]:
    """One on a free port of this machine, until the block ends. `wrap` makes the connection one of TLS."""
    provider = RawProvider(behaviour)
    listening = socket.create_server(("127.0.0.1", 0), backlog=64)
    provider.url = f"http{'s' if wrap else ''}://127.0.0.1:{listening.getsockname()[1]}"
    open_ones: set[socket.socket] = set()

    def serve(connection: socket.socket, number: int) -> None:
        with suppress(OSError, Hangup, ValueError):
            if wrap is not None:
                connection = wrap(connection)
            open_ones.add(connection)
            place = 0
            while (asked := _read(connection, number, place)) is not None:
                if not asked.body:  # by a job of LiteLLM's, which looks up limits, and at no certain time
                    connection.sendall(head("404 Not Found", "text/plain", "content-length: 0"))
                    continue
                provider.asked.append(asked)
                provider.behaviour(connection, asked)
                place += 1
        open_ones.discard(connection)
        connection.close()

    def accept() -> None:
        number = 0
        with suppress(OSError):
            while True:
                connection, _ = listening.accept()
                number += 1
                threading.Thread(target=serve, args=(connection, number), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield provider
    finally:
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        for connection in list(open_ones):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _read(connection: socket.socket, number: int, place: int) -> Asked | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        if not piece:
            return None
        data += piece
    top, _, rest = data.partition(b"\r\n\r\n")
    lengths = [line for line in top.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(lengths[0].partition(b":")[2]) if lengths else 0
    while len(rest) < length:
        piece = connection.recv(65536)
        if not piece:
            return None
        rest += piece
    return Asked(top, orjson.loads(rest) if rest else {}, number, place)
