"""The store that comes with the gateway: a Valkey or Redis server, started as a child of the launcher."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

from scalix.launch.embedded.store_binary import find_server_binary, server_environment
from scalix.launch.embedded.store_socket import place_socket, remove_socket
from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.child_process import die_with_parent
from scalix.launch.processes.directory_lock import DirectoryLock
from scalix.launch.processes.private_directory import make_private
from scalix.launch.processes.process import describe_exit

_MAX_BACKOFF_S = 5.0
# A server that has run this long was well: it is restarted at once when it dies.
_HEALTHY_AFTER_S = 30.0


class EmbeddedStore:
    """One server for each state directory, private to this user, which ends with its parent.

    It listens on a unix socket only and keeps an append-only file under `<state_dir>/store`, flushed to disk once a
    second. A stop loses nothing; a crash of the machine at most the last two seconds of counting, a crash of the
    server alone as a rule nothing, and the same two seconds when the disk is behind. Nothing is ever evicted.

    `output` takes the server's log (a file object or descriptor; None: our own standard output and error). Not safe
    for use by several threads; `start` and `ensure_running` belong to the main thread (see `die_with_parent`).
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        output: IO[bytes] | int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state_dir = state_dir.absolute()
        self._output = output
        self._binary = Path()
        self._clock = clock
        self._lock = DirectoryLock(self._state_dir / "store.lock")
        self._socket: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started_s = 0.0
        self._failures = 0
        self._retry_at_s: float | None = None

    @property
    def url(self) -> str:
        """The address for redis-py, the same over restarts of the server. Raises RuntimeError before `start`."""
        if self._socket is None:
            raise RuntimeError("the store has not been started")
        return f"unix://{quote(str(self._socket))}"

    @property
    def pid(self) -> int | None:
        """Process id of the server, None when it is not running."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def poll(self) -> int | None:
        """None while the server runs or before `start`, else its exit code (negative: the signal that ended it)."""
        return None if self._process is None else self._process.poll()

    def start(self, *, timeout_s: float = 15.0) -> None:
        """Start the server and wait until it answers; loading a long append-only file may take what it takes.

        Raises LaunchError: no server binary, state directory not usable or in use by another gateway, damaged data, or
        no sign of life for `timeout_s` seconds. Nothing is left running then.
        """
        if self._process is not None:
            raise RuntimeError("the store is already started")
        try:
            self._binary = find_server_binary()
            self._state_dir = make_private(self._state_dir)
            self._lock.acquire()
            self._socket = place_socket(make_private(self._data_dir), self._socket_record)
            self._process = self._spawn(self._output)
            self._wait_until_it_answers(timeout_s)
        except OSError as error:
            self.stop()
            what = f"the store can't be started: {error.strerror or error} ({error.filename or 'no file named'})"
            raise self._problem(what, "put that right and start again") from None
        except BaseException:
            self.stop()
            raise

    def ensure_running(self) -> str | None:
        """Start the server again if it has died. Returns a line for the log when something happened, else None.

        To be called every fraction of a second or so; never waits. A server that keeps dying is tried at most every 5
        seconds, for ever: clients meet their own circuit breaker meanwhile.
        """
        if self._process is None or self._process.poll() is None:
            return None
        now_s = self._clock()
        ended = f"the store (pid {self._process.pid}) ended with {describe_exit(self._process.returncode)}"
        if self._retry_at_s is None:
            self._failures = 1 if now_s - self._started_s >= _HEALTHY_AFTER_S else self._failures + 1
            delay_s = 0.0 if self._failures == 1 else min(_MAX_BACKOFF_S, 0.1 * 2**self._failures)
            self._retry_at_s = now_s + delay_s
            if delay_s:
                return f"{ended}; next start in {delay_s:.1f} s"
        if now_s < self._retry_at_s:
            return None
        try:
            self._process = self._spawn(self._output)
        except (OSError, subprocess.SubprocessError) as error:
            self._failures += 1
            self._retry_at_s = now_s + _MAX_BACKOFF_S
            return f"the store can't be started again: {error}"
        self._retry_at_s = None
        return f"{ended}; started again as pid {self._process.pid}"

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the server: SIGTERM, on which it saves everything; SIGKILL after `timeout_s` seconds. Idempotent."""
        process, self._process = self._process, None
        if process is not None:
            _end(process, timeout_s)
        if self._socket is not None:
            remove_socket(self._socket, self._socket_record)
            self._socket = None
        self._lock.release()
        self._failures, self._retry_at_s = 0, None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    @property
    def _data_dir(self) -> Path:
        return self._state_dir / "store"

    @property
    def _socket_record(self) -> Path:
        return self._state_dir / "store.socket-dir"

    def _arguments(self) -> list[str]:
        """The command line of the server with its whole configuration, which holds nothing secret."""
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._data_dir),
            "appendonly": "yes",
            "appendfsync": "everysec",
            # Of all damage, only a last write that a crash has cut short is repaired without being asked.
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": "",
        }
        return [str(self._binary), *(word for name, value in options.items() for word in (f"--{name}", value))]

    def _spawn(self, output: IO[bytes] | int | None) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self._arguments(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=self._data_dir,
            env=server_environment(),
            umask=0o077,
            pass_fds=(self._lock.fd,),
            # Ctrl-C goes to the terminal's whole process group, and the store has to be the last to end.
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        self._started_s = self._clock()
        self._lock.note(os.getpid(), process.pid)
        return process

    def _wait_until_it_answers(self, timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while True:
            if self.poll() is not None:
                raise self._why_it_ended()
            answer = self._ping()
            if answer.startswith(b"+PONG"):
                return
            now_s = time.monotonic()
            if answer.startswith(b"-LOADING"):
                deadline_s = now_s + timeout_s
            elif now_s >= deadline_s:
                raise self._problem(f"the store has not answered for {timeout_s:g} s", "see the log for what keeps it")
            time.sleep(0.01)

    def _ping(self) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection, contextlib.suppress(OSError):
            connection.settimeout(1.0)
            connection.connect(os.fsencode(self._socket or ""))
            connection.sendall(b"PING\r\n")
            return connection.recv(256)
        return b""

    def _why_it_ended(self) -> LaunchError:
        """Start the server once more to read what is wrong: its log went to `output`, which can't be read back."""
        with self._spawn(subprocess.PIPE) as process:
            try:
                log = process.communicate(timeout=20)[0]
            except subprocess.TimeoutExpired:
                _end(process, 5.0)
                log = b""
        lines = [line.split(" # ", 1)[1].strip() for line in log.decode(errors="replace").splitlines() if " # " in line]
        reasons = [line for line in lines if "WARNING" not in line]
        reason = reasons[-1] if reasons else "no reason in its log"
        if re.search(r"append.only|\bAOF\b|\bRDB\b", reason, re.IGNORECASE):
            return self._damaged(reason)
        ending = describe_exit(self.poll())
        what = f"the store ended with {ending} while starting: {reason.rstrip('.')}"
        return self._problem(what, "see the log, and put that right")

    def _damaged(self, reason: str) -> LaunchError:
        named = re.search(r"[\w.-]+\.aof\b", reason)
        found = sorted(self._data_dir.rglob(named[0])) if named else []
        what = f"its data can't be read, and nothing has been changed: {reason.split(':')[0].rstrip('.')}"
        fix = f"copy {self._data_dir} away, then move it aside to start with empty counters"
        if found:
            # The server's program is also its repair tool, when it is called by that name.
            repair = f"ln -sf {self._binary} valkey-check-aof && ./valkey-check-aof --fix {found[0]}"
            fix += f", or keep what precedes the damage: {repair}"
        return self._problem(what, fix)

    def _problem(self, what: str, fix: str) -> LaunchError:
        return LaunchError((Problem(where=str(self._data_dir), what=what, fix=fix),))


def _end(process: subprocess.Popen[bytes], timeout_s: float) -> None:
    process.terminate()
    try:
        process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
