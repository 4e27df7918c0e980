"""TLS in front of a worker's HTTP: handshakes with bounds, a certificate that can change, plain HTTP told so."""

import asyncio
import json
import logging
import os
import ssl
from asyncio import TimerHandle
from collections.abc import Callable
from functools import partial
from typing import Any

from uvloop.loop import SSLProtocol  # type: ignore[attr-defined]

from scalix.serving.http_protocol import LINGER_S, BoundedHttpProtocol
from scalix.serving.whole_answers import as_bytes

# From the connection to the first byte of the handshake, and from there to its end.
HANDSHAKE_S = 10.0
# More handshakes than that at a time, and the oldest is given up: usual ones take some milliseconds.
FEWEST_HANDSHAKES = 64
# How long a client that speaks plain HTTP has to read that this is none.
PLAIN_LINGER_S = 1.0
# Browsers keep to https for a year once they have seen it.
HSTS = ("strict-transport-security", "max-age=31536000")
_HANDSHAKE_RECORD = 0x16
_PLAIN = {
    "message": "This port speaks TLS: call it by https://, not http://.",
    "type": "invalid_request_error",
    "param": None,
    "code": "https_required",
}

log = logging.getLogger("scalix.worker")


def context_of(fd: int, min_version: str) -> ssl.SSLContext:
    """What a server speaks TLS by: certificate and key in PEM form from `fd`. Raises OSError for what can't be read."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2 if min_version == "1.2" else ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.set_alpn_protocols(["http/1.1"])
    context.load_cert_chain(f"/proc/self/fd/{fd}")
    return context


class TlsFront:
    """All connections of a worker that speaks TLS. `fd` holds certificate and key, and may be written anew."""

    connection = BoundedHttpProtocol
    handshake_s = HANDSHAKE_S
    most_handshakes = max(FEWEST_HANDSHAKES, BoundedHttpProtocol.most_connections // 4)

    def __init__(self, fd: int, min_version: str) -> None:
        self._fd = fd
        self._min_version = min_version
        self._changed_ns = 0
        self._opening: dict[Any, None] = {}
        self.expires_at_s = 0.0
        self._take()

    def protocol(self, **settings: Any) -> asyncio.Protocol:
        """The protocol of a new connection; `settings` are those of `connection`."""
        self.look()
        return _Opening(self, partial(self.connection, **settings), settings["server_state"])

    def look(self) -> None:
        """Take what has been written to `fd`, for connections that are made from now on."""
        try:
            if os.fstat(self._fd).st_mtime_ns != self._changed_ns:
                self._take()
        except (OSError, ValueError) as error:  # half written: the next look finds all of it
            log.debug("the certificate can't be taken yet: %s", type(error).__name__)

    def begin(self, transport: Any) -> None:
        """A connection begins its handshake. Beyond the bound the oldest that does not end it makes room."""
        self._opening[transport] = None
        if len(self._opening) > self.most_handshakes:
            oldest = next(iter(self._opening))
            del self._opening[oldest]
            oldest.abort()

    def end(self, transport: Any) -> None:
        """The handshake has ended, well or not."""
        self._opening.pop(transport, None)

    def has_room(self, connections: int) -> bool:
        """Whether one more connection may be opened beside so many that are open."""
        return connections + len(self._opening) < self.connection.most_connections

    def _take(self) -> None:
        from cryptography.x509 import load_pem_x509_certificates

        changed_ns = os.fstat(self._fd).st_mtime_ns
        self.context = context_of(self._fd, self._min_version)
        leaf = load_pem_x509_certificates(os.pread(self._fd, os.fstat(self._fd).st_size, 0))[0]
        self.expires_at_s = leaf.not_valid_after_utc.timestamp()
        self._changed_ns = changed_ns


class _Opening(asyncio.Protocol):
    """A connection of which nothing is known: its first byte says whether it speaks TLS."""

    def __init__(self, front: TlsFront, make: Callable[[], BoundedHttpProtocol], server_state: Any) -> None:
        self._front = front
        self._make = make
        self._server_state = server_state
        self._refused = False
        self._timer: TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._loop = asyncio.get_running_loop()
        if not self._front.has_room(len(self._server_state.connections)):
            transport.abort()
            return
        self._front.begin(transport)
        self._timer = self._loop.call_later(self._front.handshake_s, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._end()

    def data_received(self, data: bytes) -> None:
        if self._refused or self._transport.is_closing():
            return
        if data[0] == _HANDSHAKE_RECORD:
            self._shake_hands(data)
        elif data[:1].isalpha():
            self._refuse()
        else:
            self._transport.abort()

    def _shake_hands(self, data: bytes) -> None:
        self._stop_timer()
        transport, ended = self._transport, self._loop.create_future()
        ended.add_done_callback(self._ended)
        tls = SSLProtocol(
            self._loop,
            self._make(),
            self._front.context,
            ended,
            server_side=True,
            ssl_handshake_timeout=self._front.handshake_s,
            ssl_shutdown_timeout=LINGER_S,
        )
        # As `loop.start_tls` does it, which has no way to take what has been read already.
        transport.pause_reading()
        transport.set_protocol(tls)
        tls.connection_made(transport)
        while data and not transport.is_closing():
            room = tls.get_buffer(len(data))
            part = min(len(room), len(data))
            room[:part] = data[:part]
            tls.buffer_updated(part)
            data = data[part:]
        if not transport.is_closing():
            transport.resume_reading()

    def _ended(self, ended: "asyncio.Future[None]") -> None:
        if not ended.cancelled():
            ended.exception()  # a client that can't or won't is no news
        self._end()

    def _refuse(self) -> None:
        self._refused = True
        self._stop_timer()
        kind = (b"content-type", b"application/json")
        answer = as_bytes(400, [kind], json.dumps({"error": _PLAIN}).encode(), keep_alive=False)
        self._transport.write(answer or b"")
        self._transport.write_eof()
        # Closed at once, with the rest of the request unread, the answer would be lost.
        self._timer = self._loop.call_later(PLAIN_LINGER_S, self._transport.abort)

    def _end(self) -> None:
        self._stop_timer()
        self._front.end(self._transport)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


_front: list[TlsFront] = []  # of this process, which serves one port


def front_of(fd: str | None, min_version: str | None) -> TlsFront | None:
    """What this process speaks TLS by; `None` where it speaks plain HTTP, as there is no `fd`."""
    if fd:
        _front[:] = [TlsFront(int(fd), min_version or "")]
    return _front[0] if fd else None


def certificate_expires_at_s() -> float | None:
    """Until when the certificate that this process serves is valid, in Unix seconds; `None` without TLS."""
    for front in _front:
        front.look()
        return front.expires_at_s
    return None
