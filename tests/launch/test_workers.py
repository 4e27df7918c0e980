"""Several workers: loaded once, forked, brought back, and replaced when they have grown."""

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil

from scalix.launch.processes.cores import cores, default_workers, memory_mib
from tests.launch.running import ROOT, Gateway, Place, all_gone, eventually


def ready(gateway: Gateway) -> set[int]:
    return {worker.process.pid for worker in gateway.run_file.workers if worker.ready}


def test_workers_are_forked_from_what_was_loaded_once_and_are_the_launchers_own(place: Place) -> None:
    gateway = place.start("--workers", "3")
    forked = [psutil.Process(pid) for pid in ready(gateway)]
    assert len(forked) == 3
    assert {process.ppid() for process in forked} == {gateway.process.pid}
    assert all("scalix.launch.processes.preloader" in process.cmdline() for process in forked)
    assert "LiteLLM is loaded in" in place.terminal()
    # Each is its own: another pid answers, what it writes is told apart, its death is seen.
    (one, *others) = forked
    one.kill()
    eventually(lambda: len(ready(gateway)) == 3 and one.pid not in ready(gateway), "there are three again")
    assert {process.pid for process in others} < ready(gateway)
    gateway.log_has("ended with signal SIGKILL")


def test_workers_outlive_the_process_that_they_were_forked_from(place: Place) -> None:
    gateway = place.start("--workers", "2")
    before, loader = ready(gateway), gateway.run_file.helpers[-1]
    assert loader.send(signal.SIGKILL)
    eventually(lambda: gateway.run_file.helpers[-1].pid != loader.pid, "it is back")
    assert ready(gateway) == before
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    eventually(lambda: len(ready(gateway)) == 2 and victim not in ready(gateway), "there are two again")


def test_kill_9_of_the_launcher_leaves_no_worker_and_no_loader(place: Place) -> None:
    gateway = place.start("--workers", "2")
    children = gateway.children()
    gateway.process.kill()
    eventually(lambda: all_gone(children), "every child has ended", deadline_s=10)


def test_an_app_whose_import_begins_threads_is_loaded_by_each_worker(place: Place) -> None:
    gateway = place.start("--workers", "2", extra={"SCALIX_APP": "tests.launch.threaded_app:create_app"})
    assert len(ready(gateway)) == 2
    assert all("scalix.launch.processes.worker" in psutil.Process(pid).cmdline() for pid in ready(gateway))
    gateway.log_has("begun threads")


def test_several_workers_that_cant_be_loaded_are_one_reason(place: Place) -> None:
    process = place.launch("--workers", "2", extra={"SCALIX_APP": "tests.launch.no_such_app:create_app"})
    assert process.wait(20) == 1
    assert "can't load tests.launch.no_such_app:create_app: ModuleNotFoundError" in place.terminal()


def bounded(place: Place, **extra: str) -> Gateway:
    """A gateway whose workers are replaced beyond 150 MiB, and whose launcher looks for that all the time."""
    hurry = "from scalix.launch.processes import recycling\nrecycling.LOOK_EVERY_S = 0.1\n"
    (place.folder / "sitecustomize.py").write_text(hurry)
    extra["PYTHONPATH"] = f"{ROOT}:{place.folder}"
    return place.start(extra={"SCALIX_WORKER_MAX_RSS_MB": "150", **extra})


def test_a_worker_that_has_grown_is_replaced_when_another_serves_and_finishes_what_it_has(place: Place) -> None:
    gateway, end = bounded(place), place.folder / "end"
    (old,) = ready(gateway)
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(gateway.get, f"/until?{end}")
        gateway.log_has("slow request begun")
        gateway.get("/grow?300")
        eventually(lambda: ready(gateway) not in ({old}, set()), "another serves")
        (new,) = ready(gateway)
        eventually(lambda: {int(gateway.get("/")[1]) for _ in range(5)} == {new}, "the old one takes no more")
        end.touch()
        assert slow.result() == (200, str(old))
    eventually(lambda: not psutil.pid_exists(old), "the old one has ended")
    gateway.log_has("MiB and is replaced")
    assert "the app has shut down" in place.log.read_text()


def test_a_stop_does_not_wait_for_a_worker_that_is_being_replaced(place: Place) -> None:
    gateway = bounded(place, SCALIX_DRAIN_S="1")
    (old,) = ready(gateway)
    children = gateway.children()
    with ThreadPoolExecutor() as pool:
        slow = pool.submit(gateway.get, "/slow?60")
        gateway.log_has("slow request begun")
        gateway.get("/grow?300")
        eventually(lambda: ready(gateway) not in ({old}, set()), "another serves")
        children += gateway.children()
        assert place.run("--stop").returncode == 0
        assert all_gone(children)
        assert slow.exception() is not None or slow.result()[0] != 200


def test_the_default_is_one_for_each_core_as_far_as_there_is_memory(tmp_path: Path) -> None:
    (tmp_path / "cpu.max").write_text("350000 100000\n")
    assert cores(tmp_path) == min(3, len(os.sched_getaffinity(0)))
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores(tmp_path) == len(os.sched_getaffinity(0))
    (tmp_path / "memory.max").write_text(str(3 * 2**30))
    (tmp_path / "memory.current").write_text(str(2**30))
    (tmp_path / "meminfo").write_text("MemTotal: 9000000 kB\nMemAvailable: 8000000 kB\n")
    assert memory_mib(tmp_path, tmp_path / "meminfo") == 2048
    assert 1 <= default_workers() <= len(os.sched_getaffinity(0))
