"""However a gateway ends, nothing of it is left."""

import http.client
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from scalix.launch.processes.control import stop_gateway
from scalix.launch.processes.process import identify
from scalix.launch.processes.runfile import RunFile, WorkerEntry, read_run_file
from tests.launch.running import Gateway, Place, all_gone, eventually


def test_ctrl_c_ends_launcher_demo_worker_and_store(place: Place) -> None:
    # Given a gateway with every kind of child, in a process group as a shell makes it
    gateway = place.start("--demo", "--workers", "2")
    children = gateway.children()
    assert len(children) == 5  # store, demo provider, loader, two workers
    # When Ctrl-C goes to the whole group
    os.killpg(gateway.process.pid, signal.SIGINT)
    # Then all end, cleanly and soon
    assert gateway.process.wait(10) == 0
    assert all_gone(children)
    assert read_run_file(place.state_dir) is None
    assert "Traceback" not in place.terminal()


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_other_signals_end_it_the_same_way(gateway: Gateway, signum: signal.Signals) -> None:
    children = gateway.children()
    gateway.process.send_signal(signum)
    assert gateway.process.wait(10) == 0
    assert all_gone(children)


def test_stop_ends_it_and_is_idempotent(gateway: Gateway) -> None:
    children = gateway.children()
    stopped = gateway.place.run("--stop")
    assert (stopped.returncode, stopped.stderr) == (0, "")
    assert stopped.stdout.endswith("stopped\n")
    assert gateway.process.wait(1) == 0
    assert all_gone(children)
    again = gateway.place.run("--stop")
    assert again.returncode == 0
    assert again.stdout.startswith("no gateway runs")


def test_kill_9_of_the_launcher_leaves_no_orphan(place: Place) -> None:
    gateway = place.start("--demo")
    children = gateway.children()
    gateway.process.kill()
    eventually(lambda: all_gone(children), "every child has ended", deadline_s=10)
    assert place.run("--status").returncode == 3
    # And the next start finds port and store free, and the counters' files where they were.
    restarted = place.start("--port", str(gateway.port))
    assert restarted.get("/health/readiness")[0] == 200


def test_a_request_in_flight_is_finished(gateway: Gateway) -> None:
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, "/slow?0.4")
        gateway.log_has("slow request begun")
        stopped = gateway.place.run("--stop")
        assert answer.result()[0] == 200
    assert stopped.returncode == 0
    gateway.log_has("the app has shut down")


def test_new_connections_are_refused_while_it_drains(gateway: Gateway) -> None:
    port = gateway.port
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, "/slow?0.4")
        gateway.log_has("slow request begun")
        gateway.process.terminate()

        def refused() -> bool:
            try:
                http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
            except OSError:
                return True
            return False

        eventually(refused, "a new connection is refused")
        assert answer.result()[0] == 200
    assert gateway.process.wait(10) == 0


def test_a_second_ctrl_c_hurries(gateway: Gateway) -> None:
    children = gateway.children()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, "/slow?60")
        gateway.log_has("slow request begun")
        gateway.process.send_signal(signal.SIGINT)
        eventually(lambda: "stopping" in gateway.place.terminal(), "it has begun to stop")
        began = time.monotonic()
        gateway.process.send_signal(signal.SIGINT)
        assert gateway.process.wait(10) == 0
        assert time.monotonic() - began < 4
        assert answer.exception() is not None or answer.result()[0] == 500
    assert all_gone(children)
    # Even then the app shuts down in order, which is where it settles.
    gateway.log_has("the app has shut down")


@pytest.mark.soak
def test_a_request_that_does_not_end_is_cut_and_all_is_gone_within_ten_seconds(gateway: Gateway) -> None:
    children = gateway.children()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, "/slow?60")
        gateway.log_has("slow request begun")
        gateway.process.terminate()
        assert gateway.process.wait(10) == 0
        assert answer.exception() is not None or answer.result()[0] == 500
    assert all_gone(children)
    gateway.log_has("the app has shut down")


@pytest.mark.soak
def test_a_worker_that_hangs_outlives_a_killed_launcher_by_ten_seconds_at_most(gateway: Gateway) -> None:
    children = gateway.children()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, "/spin")
        gateway.log_has("spinning")
        gateway.process.kill()
        eventually(lambda: all_gone(children), "every child has ended", deadline_s=10)
        assert answer.exception() is not None


@pytest.mark.soak
def test_a_worker_that_hangs_is_killed(gateway: Gateway) -> None:
    children = gateway.children()
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, "/spin")
        gateway.log_has("spinning")
        gateway.process.terminate()
        assert gateway.process.wait(10) == 0
        assert answer.exception() is not None
    assert all_gone(children)


def test_a_launcher_that_does_not_react_is_killed_with_its_children(
    gateway: Gateway, capsys: pytest.CaptureFixture[str]
) -> None:
    children = gateway.children()
    gateway.process.send_signal(signal.SIGSTOP)
    assert stop_gateway(gateway.place.state_dir, patience_s=0.2) == 0
    assert f"killed pid {gateway.process.pid}" in capsys.readouterr().out
    gateway.process.wait(1)
    assert all_gone(children)


@pytest.fixture
def stranger() -> Iterator[subprocess.Popen[bytes]]:
    """A process that is nobody's business."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        assert process.poll() is None, "the stranger was harmed"
        process.kill()


@pytest.mark.parametrize("lie_ticks", [1, 0], ids=["pid reused", "exact in every field"])
def test_a_stale_run_file_that_names_a_stranger_harms_nobody(
    place: Place, stranger: subprocess.Popen[bytes], lie_ticks: int
) -> None:
    # Given the run file of a gateway that was killed, whose pids now belong to somebody else
    there = identify(stranger.pid)
    assert there
    named = replace(there, start_ticks=there.start_ticks - lie_ticks)
    place.state_dir.mkdir(mode=0o700)
    RunFile(
        launcher=named,
        host="127.0.0.1",
        port=1,
        phase="ready",
        started_at=0.0,
        version="0",
        store="embedded",
        log_file="",
        workers=(WorkerEntry("worker 1", named, ready=True),),
    ).write(place.state_dir)
    # When asked, then nobody holds the lock, so whatever the file says, no gateway runs
    assert place.run("--status").returncode == 3
    assert place.run("--stop").returncode == 0
    assert read_run_file(place.state_dir) is None
    assert stranger.poll() is None


def test_a_start_over_a_stale_run_file_does_not_wait_for_the_stranger_in_it(
    place: Place, stranger: subprocess.Popen[bytes]
) -> None:
    gateway = place.start()
    gateway.process.kill()
    gateway.process.wait()
    path = place.state_dir / "gateway.json"
    stale = json.loads(path.read_text())
    stale["launcher"]["pid"] = stale["workers"][0]["process"]["pid"] = stranger.pid
    path.write_text(json.dumps(stale))
    again = place.start()
    assert again.get("/health/readiness")[0] == 200
