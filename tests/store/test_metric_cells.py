"""The cells of metrics: what a worker has counted outlives it, however it ends; its gauges do not."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scalix.store.metric_cells import CELLS, MetricCells, MetricFiles

COUNTS = """
import sys
from pathlib import Path
from scalix.store.metric_cells import MetricCells
cells = MetricCells(Path(sys.argv[1]))
for name in ("a", "b"):
    cells.values[cells.cell(name)] += int(sys.argv[2])
print(flush=True)
sys.stdin.read()
"""


class Counting:
    """A process that counts, and is then killed."""

    def __init__(self, folder: Path, amount: int) -> None:
        command = [sys.executable, "-c", COUNTS, str(folder), str(amount)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self.process.stdout
        self.process.stdout.readline()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "metrics"


def test_what_a_killed_worker_has_counted_stays_and_its_file_is_the_next_ones(folder: Path) -> None:
    first, second = Counting(folder, 3), Counting(folder, 4)
    files = MetricFiles(folder)
    assert list(files.read()) == [(True, {"a": 3, "b": 3}), (True, {"a": 4, "b": 4})]
    first.kill()
    assert list(files.read()) == [(False, {"a": 3, "b": 3}), (True, {"a": 4, "b": 4})]
    third = Counting(folder, 10)
    assert list(files.read()) == [(True, {"a": 13, "b": 13}), (True, {"a": 4, "b": 4})]
    second.kill()
    third.kill()
    assert sorted(path.name for path in folder.iterdir()) == ["0.cells", "1.cells"]


def test_new_names_are_found_by_who_has_read_before(folder: Path) -> None:
    cells, files = MetricCells(folder), MetricFiles(folder)
    for number in range(3):
        cells.values[cells.cell(f'name{{x="{number} é"}}')] = number
        assert list(files.read()) == [(True, cells.read())]
    assert cells.read() == {f'name{{x="{number} é"}}': number for number in range(3)}


def test_what_finds_no_room_is_in_nobodys_way(folder: Path) -> None:
    cells = MetricCells(folder)
    for number in range(CELLS + 10):
        cells.values[cells.cell(str(number))] += 1
    assert set(cells.read().values()) == {1.0}
    assert len(cells.read()) == CELLS - 2
    assert next(MetricFiles(folder).read()) == (True, cells.read())


@pytest.mark.parametrize("failing", ["open", "posix_fallocate"])
def test_without_a_file_it_is_counted_in_memory(folder: Path, monkeypatch: pytest.MonkeyPatch, failing: str) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    counted: Callable[..., object] = full
    monkeypatch.setattr(os, failing, counted)
    cells = MetricCells(folder)
    cells.values[cells.cell("a")] += 2
    assert (cells.is_shared, cells.read()) == (False, {"a": 2})


def test_a_disk_that_is_full_meanwhile_leaves_what_is_counted_and_takes_no_new_names(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = MetricCells(folder)
    name = "x" * 1_000
    for number in range(5):
        cells.values[cells.cell(f"{name}{number}")] += 1

    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    for number in range(100):
        cells.values[cells.cell(f"{name}{number}")] += 1
    assert 5 < len(cells.read()) < 20
    assert (cells.read()[f"{name}0"], next(MetricFiles(folder).read())) == (2, (True, cells.read()))
