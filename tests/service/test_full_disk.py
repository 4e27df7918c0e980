"""A disk without room, for the store and the journal: said as what it is, survived, and over when there is room."""

import logging
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from scalix.store.base import StoreUnavailable
from scalix.store.connection.breaker import Breaker
from scalix.store.journal.journal_entries import Release
from scalix.store.journal.journal_file import JournalFile
from tests.service.outage_rig import StoreProcess, World
from tests.service.test_outage import recovered

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
_MIB = 2**20


class SmallDisk:
    """A disk of four megabytes, which can be filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", path], check=True)

    def fill(self) -> None:
        with (self.path / "filling").open("ab", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                return

    def empty(self) -> None:
        (self.path / "filling").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    disk = SmallDisk(tmp_path / "disk")
    yield disk
    disk.close()


@pytest.fixture
def store(disk: SmallDisk) -> Iterator[StoreProcess]:
    (disk.path / "store").mkdir()
    process = StoreProcess(disk.path / "store")
    yield process
    process.stop()


async def readiness(world: World) -> tuple[int, dict[str, object]]:
    sent: list[dict[str, object]] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        sent.append(message)

    path = "/health/readiness"
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
    more = {"headers": [], "client": ("127.0.0.1", 1), "scheme": "http", "root_path": "", "http_version": "1.1"}
    await world.app({**scope, **more}, receive, send)  # type: ignore[arg-type]
    body = sent[1]["body"]
    assert isinstance(body, bytes)
    return int(str(sent[0]["status"])), orjson.loads(body)


async def until_the_store_is_away(world: World) -> None:
    await world.eventually(lambda: not world.core.exchange.watch.store_is_there)


async def test_a_store_whose_disk_is_full_is_said_to_be_that_and_comes_back_by_itself(
    disk: SmallDisk, store: StoreProcess, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        free, pro = await world.user("fred", "free"), await world.user("paula", "pro")
        await world.eventually(lambda: world.core.exchange.watch.was_there)
        disk.fill()
        while (await world.ask(free)).status == 200:
            pass
        await world.eventually(lambda: world.core.exchange.watch.trouble)
        status, told = await readiness(world)
        # Said, and no reason for a load balancer to send nobody here: paid tiers go on.
        assert (status, told["status"], told["store"]) == (200, "degraded", "can't write to its disk")
        assert caplog.text.count("the store is there and takes nothing: can't write to its disk") == 1
        assert (await world.ask(free)).status == 503
        assert (await world.ask(pro)).status == 200
        used = len(world.provider.served)
        disk.empty()
        await world.eventually(lambda: not world.core.exchange.watch.trouble)
        await recovered(world)
        assert (await readiness(world))[1]["status"] == "ready"
        assert "the store takes what it is told again" in caplog.text
        # What was let through is counted, once; whatever was refused is not.
        assert (await world.day(free)).requests_used + (await world.day(pro)).requests_used == used


async def test_with_a_journal_that_can_not_be_written_nobody_is_let_through_and_nothing_is_lost(
    disk: SmallDisk, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "store").mkdir()
    store = StoreProcess(tmp_path / "store")
    async with World(store.url, tmp_path, "t:", SCALIX_STATE_DIR=str(disk.path)) as world:
        pro = await world.user("paula", "pro")
        store.kill()
        await until_the_store_is_away(world)
        disk.fill()
        asked = [(await world.ask(pro)).status for _ in range(20)]
        # Until the first was to be written nobody knew.
        assert asked[0] == 200
        assert asked[-1] == 503
        assert (await readiness(world))[1]["journal_unwritable"] == 1
        assert caplog.text.count("can't be written (No space left on device)") == 1
        assert caplog.text.count("open requests can't be noted") <= 1
        disk.empty()
        await world.eventually(lambda: world.core.store.journal.has_room)
        assert (await world.ask(pro)).status == 200
        store.start_again()
        await recovered(world)
        assert (await world.day(pro)).requests_used == asked.count(200) + 1
        assert "journal_unwritable" not in (await readiness(world))[1]
    store.stop()


def test_a_journal_is_emptied_while_others_take_what_becomes_free(
    disk: SmallDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = JournalFile.create(disk.path)
    file.append([Release("before", "user:x")])
    disk.fill()
    cut = os.ftruncate

    def cut_and_fill(fd: int, size: int) -> None:
        cut(fd, size)
        disk.fill()

    monkeypatch.setattr(os, "ftruncate", cut_and_fill)
    file.truncate()
    disk.empty()
    file.append([Release("after", "user:x")])
    file.close()
    successor = JournalFile.take(file.path)
    assert successor
    entries = [line.entry for line in successor.lines(successor.done)]
    successor.close()
    assert entries == [Release("after", "user:x")]


def test_a_breaker_says_what_the_store_is(caplog: pytest.LogCaptureFixture) -> None:
    breaker = Breaker()
    for _ in range(3):
        with pytest.raises(StoreUnavailable), breaker.call():
            raise StoreUnavailable("the store failed: ResponseError OOM", state="out of memory")
    assert breaker.state == "out of memory"
    assert "the store is away (out of memory; " in caplog.text
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    with breaker.probe(), breaker.call():
        pass
    assert breaker.state == "ok"
