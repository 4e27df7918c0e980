"""In which order workers come and go while they are replaced. The workers are real processes of no size."""

import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.launch.processes.child import Child, ChildSpec
from scalix.launch.processes.output import Output
from scalix.launch.processes.pump import PipePump
from scalix.launch.processes.replacing import Replacements
from tests.launch.running import eventually

# One that is told to end does so when there is no file of the name `stream` any more.
WORKER = """
import os, signal, sys
signal.signal(signal.SIGUSR1, lambda *_: None)
os.write(int(sys.argv[-1]), b"ready\\n")
signal.pause()
while os.path.exists("stream"):
    signal.sigtimedwait([], 0.01)
"""


@pytest.fixture
def pump() -> Iterator[PipePump]:
    pump = PipePump()
    yield pump
    pump.close()


class Workers:
    """Some workers that serve, with another spec than they run by."""

    def __init__(self, count: int, folder: Path, pump: PipePump, *, room: bool) -> None:
        self.folder, self.pump, self.output = folder, pump, Output(quiet=True, verbose=False)
        self.replacements = Replacements(self.make, self.output, room=lambda: room)
        self.old = [self.make(self.spec(f"worker {number}")) for number in range(1, count + 1)]
        self.all = list(self.old)
        for worker in self.old:
            worker.start()
        eventually(lambda: all(self.look(worker) for worker in self.old), "they serve")
        for worker in self.old:
            worker.spec = self.spec(worker.spec.name)

    def spec(self, name: str) -> ChildSpec:
        return ChildSpec(name, (sys.executable, "-c", WORKER), {}, self.folder)

    def make(self, spec: ChildSpec) -> Child:
        return Child(spec, self.pump, self.output)

    @staticmethod
    def look(child: Child) -> bool:
        return child.is_ready or child.read_readiness()

    def step(self) -> int:
        """One step as the launcher does it. Returns how many processes there are."""
        for child in [*self.all, *self.replacements.all()]:
            self.look(child)
            if child.next_start_s is not None:
                child.start()
        self.replacements.step(self.all)
        return sum(not child.has_ended() for child in {*self.old, *self.all, *self.replacements.all()})

    def close(self) -> None:
        for child in {*self.old, *self.all, *self.replacements.all()}:
            child.send(signal.SIGKILL)
        eventually(lambda: all(child.has_ended() for child in {*self.old, *self.all}), "all have ended")


@pytest.mark.parametrize(("count", "room"), [(1, True), (1, False), (2, True)])
def test_the_new_one_serves_before_the_old_one_ends(tmp_path: Path, pump: PipePump, count: int, room: bool) -> None:
    workers = Workers(count, tmp_path, pump, room=room)
    least = most = count

    def replaced() -> bool:
        nonlocal least, most
        most = max(most, workers.step())
        least = min(least, sum(child.is_ready for child in workers.all))
        return not set(workers.old) & set(workers.all) and not workers.replacements.is_busy

    eventually(replaced, "all are replaced")
    assert least == count
    assert most > count
    assert not any(child.is_outdated for child in workers.all)
    workers.close()


def test_without_room_the_old_one_ends_before_the_new_one_starts(tmp_path: Path, pump: PipePump) -> None:
    workers = Workers(2, tmp_path, pump, room=False)
    least, most = 2, 2

    def replaced() -> bool:
        nonlocal least, most
        most = max(most, workers.step())
        least = min(least, sum(child.is_ready for child in workers.all))
        return not set(workers.old) & set(workers.all) and all(child.is_ready for child in workers.all)

    eventually(replaced, "all are replaced")
    assert (least, most) == (1, 2)
    workers.close()


def test_without_room_reload_after_reload_leaves_no_more_than_one_worker_whose_streams_go_on(
    tmp_path: Path, pump: PipePump
) -> None:
    workers, stream = Workers(1, tmp_path, pump, room=False), tmp_path / "stream"
    stream.touch()
    eventually(lambda: workers.step() == 2 and workers.all[0].is_ready and not workers.all[0].is_outdated, "the first")
    first = workers.all[0]
    first.spec = workers.spec("worker 1")
    for _ in range(50):
        assert workers.step() == 2
    stream.unlink()
    eventually(lambda: workers.step() == 1 and workers.all[0] is not first, "the second, when the stream has ended")
    workers.close()
