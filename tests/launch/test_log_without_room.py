"""A log on a disk without room: said once, survived, and whole lines again when there is room."""

import os
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.launch.processes.logfile import RotatingLog
from scalix.launch.processes.output import Sink
from scalix.launch.processes.status import full_disks

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "disk"
    path.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], check=True)
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def test_lines_that_a_full_disk_did_not_take_are_counted_and_the_next_ones_are_whole(disk: Path) -> None:
    log, told, written = RotatingLog(disk / "log"), list[str](), threading.Semaphore(0)

    def write(lines: bytes) -> None:
        try:
            log.write(lines)
        finally:
            written.release()

    sink = Sink("test", write, tell=told.append)

    def put(line: bytes) -> None:
        sink.put(line)
        assert written.acquire(timeout=10)

    put(b"first\n")
    # All but the rest of the log's own page is taken: of the next line there is room for a part.
    (disk / "filling").write_bytes(bytes(60 * 1024))
    for _ in range(5):
        put(b"x" * 5000 + b"\n")
    assert len(told) == 1
    assert told[0].startswith("can't be written: No space left on device; lines are lost until it can")
    (disk / "filling").unlink()
    put(b"last\n")
    sink.close()
    log.close()
    lines = (disk / "log").read_bytes().splitlines()
    assert lines[0] == b"first"
    assert lines[1].strip(b"x") == b""
    assert lines[2:] == [b"[5 lines lost: No space left on device]", b"last"]


def test_a_disk_with_little_room_is_an_alarm_of_the_status(disk: Path, tmp_path: Path) -> None:
    assert full_disks(disk, disk) == {"state_dir_free_mb": 0, "log_dir_free_mb": 0}
    assert "log_dir_free_mb" not in full_disks(disk, Path("/dev")) or os.statvfs("/dev").f_bavail < 1
    assert full_disks(tmp_path / "none", tmp_path / "none") == {}
