"""A worker's uvicorn server, which ends without losing a request: its readiness goes first, then its listener, then the
idle connections, and it itself when the last request in flight has been answered."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn

from scalix.launch.processes.certificate import FD_VARIABLE
from scalix.launch.processes.open_files import OpenFiles
from scalix.launch.processes.patience import AFTER_CUT_S, APP_END_S, OF_AN_ORPHAN, Patience
from scalix.launch.processes.signals import HURRY_SIGNAL, RETIRE_SIGNAL
from scalix.launch.processes.watchdog import BEAT_EVERY_S
from scalix.launch.settings.tls import MIN_VERSION
from scalix.serving.http_protocol import ServerState

_TICK_S = 0.1
_VERSION = b"x-scalix-config"
# Connections that were just accepted have no request yet, and those without one are closed.
_JUST_ACCEPTED_S = 1.0
_TOLD_EVERY_S = 0.5
_LONGEST_TIMER_S = 30 * 86_400.0


def _nothing() -> None:
    pass


class DrainingServer(uvicorn.Server):
    """Serves `config.app`, whose `leave` is called when it is to say by its readiness that this worker goes, and its
    `drain` when no more requests come. `tell_fd` is where the launcher hears that it serves, that its loop turns, and
    how many requests it still waits for.

    SIGTERM drains it; a second one, or `HURRY_SIGNAL`, cuts what is in flight. `RETIRE_SIGNAL` drains it while other
    workers serve.
    """

    def __init__(self, config: uvicorn.Config, patience: Patience, tell_fd: int) -> None:
        super().__init__(config)
        self.server_state: ServerState = ServerState()
        self._patience = patience
        self._tell_fd = tell_fd
        self._launcher = os.getppid()
        self._leaving = self._closing = self._given_up = False
        self._leave: Callable[[], None] = getattr(config.app, "leave", _nothing)
        self._version: Callable[[], str] = getattr(config.app, "config_version", str)
        self._said = ""
        self._open_files = OpenFiles()
        self._drain: Callable[[], None] = getattr(config.app, "drain", _nothing)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets=sockets)
        self._loop.add_signal_handler(RETIRE_SIGNAL, self._retire)
        signal.signal(HURRY_SIGNAL, self.handle_exit)
        os.set_blocking(self._tell_fd, False)
        self._say_version()
        self._tell("ready")

    def _say_version(self) -> None:
        """Have every answer from now on say by which config this worker goes."""
        version = self._version()
        if version and version != self._said:
            self._said = version
            # Of the next second and of this one; each has headers beside it.
            for headers in (self.config.encoded_headers, self.server_state.default_headers):
                headers[:] = [*(header for header in headers if header[0] != _VERSION), (_VERSION, version.encode())]

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if os.getppid() != self._launcher:
            self._patience = OF_AN_ORPHAN
        hurry = self._leaving or sig == HURRY_SIGNAL
        # Set here, and not in the loop, which may hang.
        _end_within(AFTER_CUT_S if hurry else self._patience.drain_s + AFTER_CUT_S)
        self._leaving = True
        if not self.started:
            self.should_exit = True
        else:
            self._loop.call_soon_threadsafe(self._cut if hurry else self._begin_to_leave)

    def _begin_to_leave(self) -> None:
        """The gateway stops."""
        patience = self._patience
        self._leave()
        self._loop.call_later(patience.drain_s, self._cut)
        self.server_state.leaving = True
        if patience.notice_s:
            self._loop.call_later(patience.notice_s, self._close, _JUST_ACCEPTED_S)
        else:
            self._close(0)

    def _retire(self) -> None:
        """Another worker takes this one's place, and new connections. Idle ones have the time of the notice: each
        answer says that the connection ends with it."""
        if self._leaving:
            return
        self.server_state.leaving = True
        self._loop.call_later(self._patience.retire_s, self._cut)
        self._close(max(_JUST_ACCEPTED_S, self._patience.notice_s))

    def _close(self, pause_s: float) -> None:
        """Take no more connections, and, after a pause, no more requests."""
        if self._leaving:
            # Who waits for a place asks another gateway, and what is in flight has the time that is left.
            self._drain()
        if self._closing:
            return
        self._closing = True
        for server in self.servers:
            server.close()
        self._loop.call_later(pause_s, setattr, self, "should_exit", True)

    def _cut(self) -> None:
        """End what is in flight. It is settled as cut, and the app still shuts down."""
        self._leave()
        self.should_exit = True
        for task in self.server_state.tasks:
            task.cancel(msg="the worker ends")
        self._loop.call_later(AFTER_CUT_S / 2, setattr, self, "_given_up", True)

    async def on_tick(self, counter: int) -> bool:
        if self.server_state.leaving and counter % round(_TOLD_EVERY_S / _TICK_S) == 0:
            self._tell_in_flight()
        elif counter % round(BEAT_EVERY_S / _TICK_S) == 0:
            self._tell("alive")
            self._open_files.look(len(self.server_state.connections))
        self._say_version()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """In place of uvicorn's, which has one time for all cases."""
        for listener in (*self.servers, *(sockets or ())):
            listener.close()
        self.server_state.leaving = True
        for connection in list(self.server_state.connections):
            connection.shutdown()
        counter = 0
        while (self.server_state.connections or self.server_state.tasks) and not self._given_up:
            await self.on_tick(counter)
            counter += 1
            await asyncio.sleep(_TICK_S)
        self._tell_in_flight()
        left_s, _ = signal.getitimer(signal.ITIMER_REAL)
        _end_within(min(left_s or APP_END_S, APP_END_S))
        await self.lifespan.shutdown()

    def _tell_in_flight(self) -> None:
        self._tell(f"in flight {len(self.server_state.tasks)}")

    def _tell(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody listens any more, or for long
            os.write(self._tell_fd, line.encode() + b"\n")


def _end_within(seconds: float) -> None:
    """Have the kernel end this process after so long, whatever it does."""
    signal.setitimer(signal.ITIMER_REAL, min(seconds, _LONGEST_TIMER_S))


def build_server(app: Any, patience: Patience, tell_fd: int) -> DrainingServer:
    from scalix.serving.http_protocol import KEEP_ALIVE_S, BoundedHttpProtocol
    from scalix.serving.tls import HSTS, front_of

    front = front_of(os.environ.get(FD_VARIABLE), os.environ.get(MIN_VERSION))
    # On a developer's machine a browser would keep to https for whatever else runs there.
    keeps_to_https = os.environ.get("SCALIX_ENV") != "development"
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http=front.protocol if front else BoundedHttpProtocol,  # type: ignore[arg-type]
        headers=[HSTS] if front and keeps_to_https else [],
        ws="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        server_header=False,
        # Whose X-Forwarded-For counts is the edge's to decide; uvicorn would believe everyone on this machine.
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    return DrainingServer(config, patience, tell_fd)
