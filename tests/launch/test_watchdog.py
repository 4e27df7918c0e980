"""Workers whose event loop hangs are ended and replaced, and no others."""

import os
import signal
import threading
from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import pytest

from scalix.launch.processes import watchdog
from scalix.launch.processes.child import Child
from scalix.launch.processes.output import Output
from scalix.launch.processes.watchdog import Watchdog
from tests.launch.running import ROOT, Gateway, Place, eventually


class Worker:
    """A worker that says that its loop turns, or not, as it is told."""

    def __init__(self, pid: int = 1) -> None:
        self.spec = SimpleNamespace(name="worker 1")
        self.identity = SimpleNamespace(pid=pid)
        self.is_ready = True
        self.turns = True
        self.signals: list[int] = []

    def heard(self) -> bool:
        return self.turns

    def send(self, signum: int) -> None:
        self.signals.append(signum)


class Watch:
    """A watchdog of 60 s over one worker, by a clock that is moved by hand."""

    def __init__(self, worker: Worker, after_s: float = 60.0) -> None:
        self.now_s = 0.0
        self.worker = worker
        self.lines: list[str] = []
        output = SimpleNamespace(say=lambda label, text: self.lines.append(f"{label}: {text}"))
        self.watchdog = Watchdog(after_s, cast(Output, output), lambda: self.now_s)

    def look(self, times: int, every_s: float = 0.5) -> None:
        for _ in range(times):
            self.now_s += every_s
            self.watchdog.look([cast(Child, self.worker)])


def test_a_worker_that_says_nothing_is_asked_where_it_hangs_and_then_killed_with_one_line() -> None:
    watch = Watch(worker := Worker())
    worker.turns = False
    watch.look(120)
    assert worker.signals == []
    watch.look(1)
    assert worker.signals == [signal.SIGABRT]
    watch.look(3)
    assert worker.signals == [signal.SIGABRT]
    watch.look(1)
    assert worker.signals == [signal.SIGABRT, signal.SIGKILL]
    (line,) = watch.lines
    assert line.startswith("worker 1: its event loop has hung for 60 s")


def test_a_worker_that_speaks_now_and_then_is_left_alone() -> None:
    watch = Watch(worker := Worker())
    for _ in range(10):
        worker.turns = False
        watch.look(110)
        worker.turns = True
        watch.look(1)
    assert worker.signals == []


def test_time_in_which_the_launcher_itself_was_held_up_is_not_the_workers() -> None:
    watch = Watch(worker := Worker())
    worker.turns = False
    watch.look(50, every_s=3600)
    assert worker.signals == []


def test_with_0_nobody_is_ended() -> None:
    watch = Watch(worker := Worker(), after_s=0)
    worker.turns = False
    watch.look(1_000)
    assert worker.signals == []


def test_a_worker_that_is_busy_with_its_start_is_left_alone() -> None:
    watch = Watch(worker := Worker())
    worker.turns = worker.is_ready = False
    watch.look(1_000)
    assert worker.signals == []


def test_a_worker_that_a_debugger_holds_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watchdog, "_is_traced", lambda pid: True)
    watch = Watch(worker := Worker())
    worker.turns = False
    watch.look(1_000)
    assert worker.signals == []


def test_a_process_without_a_debugger_is_seen_to_have_none() -> None:
    assert not watchdog._is_traced(os.getpid())


def hurried(place: Place) -> Gateway:
    """A gateway whose workers have a second, and speak ten times in it."""
    hurry = (
        "from scalix.launch.processes import watchdog\nwatchdog.BEAT_EVERY_S = 0.1\n"
        "from scalix.launch.settings import environment\nenvironment.LEAST_WORKER_HANG_S = 1\n"
    )
    (place.folder / "sitecustomize.py").write_text(hurry)
    return place.start(extra={"SCALIX_WORKER_HANG_S": "2", "PYTHONPATH": f"{ROOT}:{place.folder}"})


@pytest.mark.parametrize("how", ["spins", "is stopped"])
def test_a_worker_that_hangs_is_replaced_and_the_log_has_the_place(place: Place, how: str) -> None:
    gateway = hurried(place)
    old = gateway.run_file.workers[0].process
    if how == "spins":

        def spin() -> Any:
            with suppress(OSError):
                gateway.get("/spin")

        threading.Thread(target=spin, daemon=True).start()
    else:
        old.send(signal.SIGSTOP)
    gateway.log_has("its event loop has hung for 2 s")
    eventually(lambda: gateway.get("/")[1] not in ("", str(old.pid)), "another worker answers")
    if how == "spins":
        gateway.log_has('tiny_app.py", line')
        gateway.log_has("ended with signal SIGABRT")
    assert not old.is_alive()


def test_a_worker_that_hangs_while_the_gateway_stops_holds_it_up_no_longer_than_at_other_times(place: Place) -> None:
    place.extra["SCALIX_DRAIN_S"] = "900"
    gateway = hurried(place)

    def spin() -> Any:
        with suppress(OSError):
            gateway.get("/spin")

    threading.Thread(target=spin, daemon=True).start()
    gateway.log_has("spinning")
    gateway.process.terminate()
    gateway.log_has("its event loop has hung for 2 s")
    gateway.log_has('tiny_app.py", line')
    assert gateway.process.wait(10) == 0
