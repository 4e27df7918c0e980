"""A gateway that stops loses no request: readiness goes first, what is in flight ends, one sees how much that is."""

import http.client
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.launch.running import Gateway, Place, all_gone, eventually

STAGING = {"SCALIX_ENV": "staging", "LITELLM_MASTER_KEY": "sk-5f0c7d1b9e3a42688d17c6b5a4f3e2d1"}


@contextmanager
def in_flight(gateway: Gateway, end: Path) -> Iterator[Future[tuple[int, str]]]:
    """A request that lasts until there is a file `end`, which there is at the latest at the end of the context."""
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(gateway.get, f"/until?{end}")
        gateway.log_has("slow request begun")
        try:
            yield answer
        finally:
            end.touch()


def refuses(port: int) -> bool:
    """Whether nobody listens."""
    try:
        http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
    except OSError:
        return True
    return False


def ask(connection: http.client.HTTPConnection, path: str = "/") -> tuple[int, str | None]:
    """The status of an answer, and what it says of its connection."""
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    return answer.status, answer.headers["connection"]


def test_readiness_goes_first_and_requests_are_served_until_load_balancers_have_seen_it(place: Place) -> None:
    gateway, end = place.start(extra=STAGING), place.folder / "end"
    port, children = gateway.port, gateway.children()
    kept = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    assert ask(kept) == (200, None)
    with in_flight(gateway, end) as slow:
        gateway.process.terminate()
        eventually(lambda: gateway.get("/health/readiness")[0] == 503, "it is not ready any more")
        began_s = time.monotonic()
        # What comes now is served, and the connection that it came by ends with it.
        assert gateway.get("/")[0] == 200
        assert ask(kept) == (200, "close")
        # A balancer that looks each second, twice, has seen it by the time that nobody listens any more.
        eventually(lambda: refuses(port), "no new connections")
        assert time.monotonic() - began_s > 3
        assert not slow.done()
        end.touch()
        assert slow.result()[0] == 200
    assert gateway.process.wait(10) == 0
    assert all_gone(children)
    gateway.log_has("the app has shut down")


def test_a_stop_waits_beyond_ten_seconds_if_it_may_and_says_for_what(place: Place) -> None:
    gateway, end = place.start(extra={"SCALIX_DRAIN_S": "600"}), place.folder / "end"
    with in_flight(gateway, end) as slow:
        stop = subprocess.Popen(place.command("--stop"), env=place.environment(), stdout=subprocess.PIPE, text=True)
        assert stop.stdout
        assert "requests in flight are finished first" in stop.stdout.readline()
        # Then each few seconds it says what it waits for, and so does --status.
        assert stop.stdout.readline().startswith("waiting for 1 request in flight, for 5")
        status = json.loads(place.run("--status", "--json").stdout)
        assert (status["state"], status["waiting_for_requests"]) == ("draining", 1)
        assert "draining (waiting for 1 request in flight)" in place.run("--status").stdout
        # A second --stop waits too, as the first one has been obeyed.
        again = subprocess.Popen(place.command("--stop"), env=place.environment(), stdout=subprocess.PIPE, text=True)
        assert again.stdout
        assert again.stdout.readline()
        assert "waiting for 1 request" in again.stdout.readline()
        assert not slow.done()
        end.touch()
        assert slow.result()[0] == 200
        assert stop.communicate(timeout=10)[0].endswith("stopped\n")
        assert again.communicate(timeout=10)[0].endswith("stopped\n")
    assert gateway.process.wait(10) == 0


def test_what_all_workers_wait_for_is_added_up(place: Place) -> None:
    gateway, end = place.start("--workers", "2", extra={"SCALIX_DRAIN_S": "600"}), place.folder / "end"
    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(gateway.get, f"/until?{end}") for _ in range(8)]
        try:
            eventually(lambda: place.log.read_text().count("slow request begun") == 8, "all are in flight")
            gateway.process.terminate()
            eventually(lambda: gateway.run_file.in_flight == 8, "it waits for all")
        finally:
            end.touch()
        assert {answer.result()[0] for answer in answers} == {200}
    assert gateway.process.wait(10) == 0


@pytest.mark.parametrize("began", [False, True], ids=["at once", "after a stop that waits"])
def test_a_stop_now_cuts_what_is_in_flight(place: Place, began: bool) -> None:
    gateway, end = place.start(extra=STAGING), place.folder / "end"
    children = gateway.children()
    with in_flight(gateway, end) as slow:
        if began:
            gateway.process.terminate()
            eventually(lambda: gateway.run_file.in_flight == 1, "it waits")
        began_s = time.monotonic()
        assert place.run("--stop", "--now").returncode == 0
        assert time.monotonic() - began_s < 10
        assert slow.exception() is not None or slow.result()[0] == 500
    assert all_gone(children)
    gateway.log_has("the app has shut down")


def test_a_second_signal_ends_a_long_drain(place: Place) -> None:
    gateway, end = place.start(extra={"SCALIX_DRAIN_S": "600"}), place.folder / "end"
    with in_flight(gateway, end) as slow:
        gateway.process.terminate()
        eventually(lambda: gateway.run_file.in_flight == 1, "it waits")
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(10) == 0
        assert slow.exception() is not None or slow.result()[0] == 500


def test_a_request_whose_head_is_on_its_way_is_answered(place: Place) -> None:
    gateway = place.start()
    connection = http.client.HTTPConnection("127.0.0.1", gateway.port, timeout=10)
    connection.connect()
    connection.sock.sendall(b"GET / HTTP/1.1\r\nhost: here\r\n")
    gateway.get("/")  # by when that has been read
    gateway.process.terminate()
    eventually(lambda: refuses(gateway.port), "no new connections")
    connection.sock.sendall(b"\r\n")
    answer = connection.sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert gateway.process.wait(10) == 0


def test_the_workers_of_a_launcher_that_was_killed_wait_ten_seconds_at_most(place: Place) -> None:
    gateway, end = place.start(extra=STAGING), place.folder / "end"
    children = gateway.children()
    with in_flight(gateway, end):
        gateway.process.kill()
        eventually(lambda: all_gone(children), "every child has ended", deadline_s=10)


def test_an_app_that_does_not_come_to_its_end_is_ended_though_requests_had_more_time(place: Place) -> None:
    gateway = place.start(extra={"SCALIX_DRAIN_S": "900", "TINY_HANGS_AT_END": "1"})
    gateway.process.terminate()
    assert gateway.process.wait(10) == 0


def test_now_goes_with_stop_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, errors = place.run_here(monkeypatch, "--status", "--now")
    assert code == 2
    assert "--now does not go with --status" in errors
    assert "--now goes with --stop" in place.run_here(monkeypatch, "--now")[2]


def test_a_drain_of_no_length_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.extra["SCALIX_DRAIN_S"] = "soon"
    code, _, errors = place.run_here(monkeypatch, "--check")
    assert code == 2
    assert "SCALIX_DRAIN_S" in errors
