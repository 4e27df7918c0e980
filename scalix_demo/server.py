"""The server of the demo provider: sockets, signals, and its end with the parent process."""

import contextlib
import ctypes
import os
import signal
import socket
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from scalix_demo.app import DemoApp
from scalix_demo.exchange import CLOSE_EXTENSION

BACKLOG: Final = 2048
_PR_SET_PDEATHSIG: Final = 1
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)


class DemoProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with a way for the app to drop the connection, which ASGI does not have."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        extensions: Any = {CLOSE_EXTENSION: self._drop}
        self.scope["extensions"] = extensions

    def _drop(self, reset: bool) -> None:
        if reset:
            connection = self.transport.get_extra_info("socket")
            # With a linger time of zero, closing sends a reset in place of an orderly end.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self.transport.abort()
        else:
            self.transport.close()


class DemoServer(uvicorn.Server):
    """Calls `on_ready` when it listens, and ends with 0, at once, on SIGTERM and SIGINT."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # uvicorn would raise the signal again when it is done, and the process end by it.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self.handle_exit)
        yield


def bind_tcp(host: str, port: int) -> socket.socket:
    """A listening socket. Raises OSError."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def bind_unix(path: Path) -> socket.socket:
    """A listening socket at `path` for this user only. Replaces one of a dead server. Raises OSError."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if path.is_socket():
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                if probe.connect_ex(str(path)) == 0:
                    raise OSError("another server listens there")
            path.unlink()
        listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def die_with_parent(parent_pid: int) -> None:
    """On Linux this process is killed as soon as its parent ends, in whatever way. Elsewhere it does nothing."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent_pid:
            raise SystemExit(1)


def run(app: DemoApp, listeners: list[socket.socket], on_ready: Callable[[], None]) -> None:
    """Serves until SIGTERM or SIGINT; answers in progress are cut then."""
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=DemoProtocol,
        ws="none",
        lifespan="off",
        access_log=False,
        log_level="critical",
        server_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=0,
    )
    DemoServer(config, on_ready).run(sockets=listeners)
