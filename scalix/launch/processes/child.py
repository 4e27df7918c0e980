"""A program that the launcher keeps running: it is started, watched until it is ready, restarted and stopped."""

import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from scalix.launch.processes.child_process import die_with_parent
from scalix.launch.processes.output import Output
from scalix.launch.processes.process import Adopted, ProcessIdentity, describe_exit, identify
from scalix.launch.processes.pump import PipePump
from scalix.launch.processes.signals import EXIT_CANT_LOAD

# A child that has been ready this long and then dies starts again with the shortest delay.
STEADY_S = 60.0
FIRST_DELAY_S = 0.25
LONGEST_DELAY_S = 30.0
START_LIMIT_S = 120.0
MOST_FAILED_STARTS = 3
_TAIL_LINES = 40


@dataclass(frozen=True)
class ChildSpec:
    """How to start a child. It writes one line to the descriptor after `--ready-fd` once it is ready, and a worker
    then goes on writing there: that its loop turns, and, when it ends, how many requests it waits for."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    directory: Path
    inherited_fds: tuple[int, ...] = ()
    death_signal: signal.Signals = signal.SIGTERM


Process = subprocess.Popen[bytes] | Adopted
# A quicker way to a process than to start its program: it gets the spec and the descriptors of standard output, of
# standard error and for readiness, and returns `None` where it can't be used now.
Shortcut = Callable[[ChildSpec, int, int, int], Process | None]


def restart_delay_s(deaths: int) -> float:
    """Seconds to wait before the next start of a child that has died `deaths` times: doubled each time, up to 30."""
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0 ** max(0, min(deaths - 1, 10)))


class Child:
    """One program, restarted as often as it dies. For the main thread only; times are monotonic seconds.

    `shortcut` is asked for a process first; the program is started where it has none.
    """

    def __init__(self, spec: ChildSpec, pump: PipePump, output: Output, shortcut: Shortcut = lambda *_: None) -> None:
        self.spec = spec
        self.deaths = 0
        self.ever_ready = False
        self.last_words = ""
        self.exit_code: int | None = None
        self.last_end: int | None = None
        """The exit code of the process before the one that runs."""
        self.next_start_s: float | None = None
        """When it will be started again; None unless it is waiting for that."""
        self.runs = spec
        """By which spec the process was started."""
        self._shortcut = shortcut
        self._pump = pump
        self._output = output
        self._tail: deque[bytes] = deque(maxlen=_TAIL_LINES)
        self._pipes_ended: list[threading.Event] = []
        self._started_at_s = 0.0
        self._process: Process | None = None
        self.identity: ProcessIdentity | None = None
        """The process that runs now; None while none does."""
        self.ready_fd: int | None = None
        """The descriptor on which the child says that it is ready; None when it has nothing to say."""
        self.ready_line = b""
        """What the child wrote when it became ready, without the newline."""
        self._ready_at_s: float | None = None
        self._told_fd: int | None = None
        self._in_flight = 0
        self._heard = False

    @property
    def is_ready(self) -> bool:
        return self._ready_at_s is not None

    @property
    def is_outdated(self) -> bool:
        """Whether its process was started by another spec than it has now."""
        return self.runs is not self.spec

    @property
    def start_s(self) -> float:
        """Seconds from the start until the child was ready."""
        return (self._ready_at_s or self._started_at_s) - self._started_at_s

    def start(self) -> None:
        """Start the program. Raises OSError when the system can't."""
        pipes = _three_pipes()
        (ready_read, ready_write), (out_read, out_write), (err_read, err_write) = pipes
        os.set_blocking(ready_read, False)
        try:
            process = self._shortcut(self.spec, out_write, err_write, ready_write) or self._started(
                out_write, err_write, ready_write
            )
        except OSError:
            for fd in (ready_read, out_read, err_read):
                os.close(fd)
            raise
        finally:
            for _, write_end in pipes:
                os.close(write_end)
        self._process, self.identity = process, identify(process.pid) or ProcessIdentity(process.pid, -1)
        self.ready_fd, self._started_at_s = ready_read, time.monotonic()
        self._tail.clear()
        self._pipes_ended = [self._pump.watch(fd, self._take_line) for fd in (out_read, err_read)]
        self.next_start_s = self.exit_code = None
        self.runs = self.spec

    def _started(self, stdout: int, stderr: int, ready: int) -> Process:
        return subprocess.Popen(
            [*self.spec.command, "--ready-fd", str(ready)],
            env=dict(self.spec.environment),
            cwd=self.spec.directory,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            pass_fds=(*self.spec.inherited_fds, ready),
            # A session of its own: Ctrl-C in the terminal reaches the launcher alone, which then drains in order.
            start_new_session=True,
            preexec_fn=die_with_parent(self.spec.death_signal),
        )

    def _take_line(self, line: bytes) -> None:
        self._tail.append(line)
        # Until it is ready a child writes banners and, if it fails, traces: for the log. Its last words are told.
        self._output.from_child(self.spec.name, line, terminal=self.is_ready)

    def read_readiness(self) -> bool:
        """Call when `ready_fd` can be read. True when the child has just become ready."""
        if self.ready_fd is None:
            return False
        try:
            data = os.read(self.ready_fd, 4096)
        except BlockingIOError:
            return False
        self.ready_line += data
        if data and b"\n" not in data:
            return False
        if not data:  # closed without a word: its end will follow
            os.close(self.ready_fd)
            self.ready_fd = None
            return False
        self._told_fd, self.ready_fd = self.ready_fd, None
        # What it wrote before is for the log, however late it is read.
        self._pump.catch_up()
        self.ready_line = self.ready_line.strip()
        self._ready_at_s = time.monotonic()
        self.ever_ready = True
        return True

    @property
    def in_flight(self) -> int:
        """How many requests a child that ends has said last that it waits for."""
        self._hear()
        return self._in_flight

    def heard(self) -> bool:
        """Whether the child has said anything since the last call, as a worker does all the time."""
        self._hear()
        heard, self._heard = self._heard, False
        return heard

    def _hear(self) -> None:
        if self._told_fd is not None:
            with suppress(BlockingIOError):
                told = os.read(self._told_fd, 65536).splitlines()
                numbers = [line.removeprefix(b"in flight ") for line in told if line.startswith(b"in flight ")]
                self._in_flight = int(numbers[-1]) if numbers else self._in_flight
                self._heard = self._heard or bool(told)

    def check_alive(self) -> bool:
        """False when the child has died since the last call; `exit_code` and `last_words` are set then."""
        if self._process is None:
            return True
        code = self._process.poll()
        now = time.monotonic()
        if code is None:
            if self._ready_at_s is None and now - self._started_at_s > START_LIMIT_S:
                self._output.say(self.spec.name, f"has not become ready within {START_LIMIT_S:g} s and is ended")
                self._process.send_signal(signal.SIGKILL)
            return True
        for ended in self._pipes_ended:
            ended.wait(0.5)
        steady = self._ready_at_s is not None and now - self._ready_at_s > STEADY_S
        self.deaths = 1 if steady else self.deaths + 1
        self.exit_code = self.last_end = code
        self.last_words = _last_words(list(self._tail))
        self._forget()
        self.next_start_s = now + restart_delay_s(self.deaths)
        return False

    def postpone(self) -> None:
        """Count a start that the system did not allow as a death, and wait for the next one."""
        self.deaths += 1
        self.next_start_s = time.monotonic() + restart_delay_s(self.deaths)

    def send(self, signum: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            self._process.send_signal(signum)

    def has_ended(self) -> bool:
        """Whether no process of this child runs now."""
        if self._process and self._process.poll() is not None:
            self._forget()
        return self._process is None

    def _forget(self) -> None:
        for fd in (self.ready_fd, self._told_fd):
            if fd is not None:
                os.close(fd)
        self._process = self.identity = self.ready_fd = self._told_fd = self._ready_at_s = None
        self._in_flight = 0
        self.ready_line = b""


def _three_pipes() -> list[tuple[int, int]]:
    """Or none, where the system has no descriptors for all of them."""
    pipes: list[tuple[int, int]] = []
    try:
        while len(pipes) < 3:
            pipes.append(os.pipe())
    except OSError:
        for fd in (fd for pipe in pipes for fd in pipe):
            os.close(fd)
        raise
    return pipes


def _last_words(lines: list[bytes]) -> str:
    """The line in which a dead child said why: its own line if there is one, else the last of any library."""
    ours = [line for line in lines if line.startswith(b"worker: ")]
    return (ours or lines or [b""])[-1].decode(errors="replace")


def is_hopeless(child: Child) -> bool:
    """Whether another start is of no use: what can't be loaded now can't be loaded in a second either."""
    return child.exit_code == EXIT_CANT_LOAD or child.deaths >= MOST_FAILED_STARTS


def downfall(child: Child) -> str:
    """One line about a child that has died and does not serve again yet; empty for any other."""
    if child.is_ready or not child.deaths or child.last_end is None:
        return ""
    times = "once" if child.deaths == 1 else f"{child.deaths} times in a row"
    return f"{child.spec.name} has ended {times}, last with {describe_exit(child.last_end)}: {_reason(child)}"


def obituary(child: Child) -> str:
    """One line that says how often the child ended, how, and its last words."""
    times = "" if child.deaths == 1 else f" {child.deaths} times"
    return f"{child.spec.name} ended{times} before it was ready ({describe_exit(child.exit_code)}): {_reason(child)}"


def _reason(child: Child) -> str:
    return child.last_words.removeprefix("worker: ") or "it said nothing"
