"""Old days go to files: nothing is lost or doubled whatever step it breaks off at, and a forgotten user is in none."""

import asyncio
import gzip
import json
import stat
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.ledger.books import Texts
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.policy import Policy, Tier
from scalix.service.ledger.archive import Archive, ArchiveFailed
from scalix.service.policy_source import PolicySource
from scalix.store.ledger.archive_files import ArchiveFiles, Draft
from scalix.store.ledger.redis_archive import RedisArchive
from tests.store.ledger_rig import TODAY, LedgerRig
from tests.store.stores import Clock

OLD = TODAY - 10


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix, clock=Clock(OLD * DAY_MS + 3_600_000 * 14))
    yield rig
    await rig.close()


def policy_of(**retention: int) -> PolicySource:
    """A policy whose events go to files after a week."""
    kept = Retention(**{"archive_after_days": 7, **retention})
    return PolicySource(Policy({"free": Tier("free")}, "free", {}, retention=kept))


def archive_of(rig: LedgerRig, folder: Path, host: str = "here", **retention: int) -> Archive:
    store, policy = RedisArchive(rig.session), policy_of(**retention)
    return Archive(store, ArchiveFiles(folder), policy, now_ms=rig.clock, host=host)


async def in_store(rig: LedgerRig, subjects: list[str], day: int = OLD) -> dict[str, dict[str, str]]:
    found = {one: await rig.client.hgetall(rig.keys.events(one, day * DAY_MS)) for one in subjects}
    return {one: texts for one, texts in found.items() if texts}


def lines_of(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_an_old_day_is_one_private_file_and_no_longer_in_the_store(rig: LedgerRig, tmp_path: Path) -> None:
    subjects = await rig.a_day()
    before = await in_store(rig, subjects)
    rig.clock.now_ms = TODAY * DAY_MS
    await rig.settle("today", subjects[0])
    archive = archive_of(rig, tmp_path / "archive")
    (done,) = await archive.archive() or []
    assert (done.day, done.events, done.removed) == (OLD, 48, 48)
    assert await in_store(rig, subjects) == {}
    assert await in_store(rig, subjects, TODAY) != {}
    assert archive.files.read(OLD) == before
    path = archive.files.path(OLD)
    assert path.name == "events-2026-02-16.jsonl.gz"
    assert (stat.S_IMODE(path.stat().st_mode), stat.S_IMODE(path.parent.stat().st_mode)) == (0o600, 0o700)
    (line,) = [line for line in lines_of(path) if line["id"] == f"r-{subjects[0]}-0"]
    words = before[subjects[0]][line["id"]].split(" ")
    assert (line["outcome"], line["requests"], line["tokens"], line["nano_usd"]) == (words[0], *map(int, words[1:4]))
    assert line["subject"] == subjects[0]
    assert await archive.archive() == []


async def test_an_archived_day_is_still_compared_with_everybodys_sums(rig: LedgerRig, tmp_path: Path) -> None:
    subjects = await rig.a_day()
    rig.clock.now_ms = TODAY * DAY_MS
    archive = archive_of(rig, tmp_path)
    await archive.archive()
    archived = await archive.read(OLD)
    assert archived is not None
    assert (await rig.check.verify(OLD, archived=archived)).differences == []
    await rig.client.hdel(
        rig.names(subjects[0], OLD).days, (await rig.client.hkeys(rig.names(subjects[0], OLD).days))[0]
    )
    found = (await rig.check.verify(OLD, archived=archived)).differences
    assert {difference.part for difference in found} == {"days"}


STEPS: list[tuple[type[Any], str]] = [
    (RedisArchive, "days"),
    (RedisArchive, "events"),
    (Draft, "add"),
    (Draft, "commit"),
    (RedisArchive, "note"),
    (RedisArchive, "trim"),
]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize(("part", "step"), STEPS, ids=[step for _, step in STEPS])
async def test_a_crash_at_any_step_loses_and_doubles_nothing(
    rig: LedgerRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: type[Any], step: str, after: bool
) -> None:
    subjects = await rig.a_day()
    before = await in_store(rig, subjects)
    rig.clock.now_ms = TODAY * DAY_MS
    real: Callable[..., Any] = getattr(part, step)

    class Crash(BaseException):
        pass

    def crashing(*args: Any) -> Any:
        async def whole() -> Any:
            if after:
                await real(*args)
            raise Crash

        if asyncio.iscoroutinefunction(real):
            return whole()
        if after:
            real(*args)
        raise Crash

    with monkeypatch.context() as patched:
        patched.setattr(part, step, crashing)
        with pytest.raises(Crash):
            await archive_of(rig, tmp_path).archive()
    files = ArchiveFiles(tmp_path).read(OLD)
    kept = await in_store(rig, subjects)
    assert {one: {**files.get(one, {}), **kept.get(one, {})} for one in subjects} == before
    await archive_of(rig, tmp_path).archive()
    assert ArchiveFiles(tmp_path).read(OLD) == before
    assert await in_store(rig, subjects) == {}


async def test_an_event_that_comes_or_changes_meanwhile_stays_for_the_next_time(
    rig: LedgerRig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = "user:ann"
    swept = await rig.admit("swept", subject, lease_ms=1_000)
    late = await rig.admit("late", subject, lease_ms=10**10)
    rig.clock.advance(seconds=5)
    await rig.quotas.sweep()
    rig.clock.now_ms = TODAY * DAY_MS
    real = RedisArchive.trim

    async def trim(self: RedisArchive, day: int, subject: str, texts: Texts) -> int:
        await rig.quotas.settle(swept, rig.charge())
        await rig.quotas.settle(late, rig.charge())
        return await real(self, day, subject, texts)

    archive = archive_of(rig, tmp_path)
    with monkeypatch.context() as patched:
        patched.setattr(RedisArchive, "trim", trim)
        (done,) = await archive.archive() or []
    assert (done.events, done.removed) == (1, 0)
    kept = (await in_store(rig, [subject]))[subject]
    assert kept.keys() == {"swept", "late"}
    (done,) = await archive.archive() or []
    assert (done.events, done.removed) == (2, 2)
    assert archive.files.read(OLD) == {subject: kept}


async def test_two_processes_never_write_at_the_same_time(rig: LedgerRig, tmp_path: Path) -> None:
    await rig.a_day()
    rig.clock.now_ms = TODAY * DAY_MS
    holder = RedisArchive(rig.session)
    assert await holder.lock()
    assert await archive_of(rig, tmp_path).archive() is None
    await holder.unlock()
    assert await archive_of(rig, tmp_path).archive() != []


async def test_a_forgotten_user_is_in_no_file(rig: LedgerRig, tmp_path: Path) -> None:
    subjects = await rig.a_day()
    rig.clock.advance(hours=24)
    for number, subject in enumerate(subjects):
        await rig.settle(f"next-day-{number}", subject)
    rig.clock.now_ms = TODAY * DAY_MS
    archive = archive_of(rig, tmp_path)
    assert [done.day for done in await archive.archive() or []] == [OLD, OLD + 1]
    assert await archive.forget(subjects[1]) == 9
    assert await archive.forget(subjects[1]) == 0
    for day in (OLD, OLD + 1):
        assert archive.files.read(day).keys() == set(subjects) - {subjects[1]}
    for name in names(tmp_path):
        assert subjects[1] not in gzip.decompress((tmp_path / name).read_bytes()).decode()


async def test_a_file_that_holds_nobody_else_goes_with_its_user(rig: LedgerRig, tmp_path: Path) -> None:
    await rig.settle("one", "user:ann")
    rig.clock.now_ms = TODAY * DAY_MS
    archive = archive_of(rig, tmp_path)
    await archive.archive()
    assert await archive.forget("user:ann") == 1
    assert names(tmp_path) == []


async def test_files_and_what_a_crash_has_left_go_by_age(rig: LedgerRig, tmp_path: Path) -> None:
    await rig.a_day()
    rig.clock.now_ms = TODAY * DAY_MS
    archive = archive_of(rig, tmp_path, archive_days=30)
    (tmp_path / "events-2026-02-16.jsonl.gz.0123.draft").write_bytes(b"half")
    await archive.run()
    assert names(tmp_path) == ["events-2026-02-16.jsonl.gz"]
    rig.clock.advance(hours=24 * 21)
    await archive.run()
    assert names(tmp_path) == []


async def test_without_an_age_nothing_is_archived_until_the_store_is_nearly_full(
    rig: LedgerRig, tmp_path: Path
) -> None:
    subjects = await rig.a_day()
    rig.clock.now_ms = (OLD + 1) * DAY_MS
    policy = PolicySource(Policy({"free": Tier("free")}, "free", {}))
    store = RedisArchive(rig.session)
    archive = Archive(store, ArchiveFiles(tmp_path), policy, now_ms=rig.clock, host="here")
    await archive.run()
    await archive.run_early()
    assert len(await in_store(rig, subjects)) == len(subjects)
    rig.clock.now_ms = (OLD + 2) * DAY_MS
    await archive.run_early()
    assert await in_store(rig, subjects) == {}


async def test_a_damaged_file_is_named_and_nothing_leaves_the_store(rig: LedgerRig, tmp_path: Path) -> None:
    subjects = await rig.a_day()
    rig.clock.now_ms = TODAY * DAY_MS
    archive = archive_of(rig, tmp_path)
    archive.files.path(OLD).write_bytes(b"not gzip")
    with pytest.raises(ArchiveFailed, match=r"events-2026-02-16.jsonl.gz is damaged .*move it away"):
        await archive.archive()
    assert len(await in_store(rig, subjects)) == len(subjects)


async def test_a_day_in_a_file_of_another_machine_is_known(rig: LedgerRig, tmp_path: Path) -> None:
    await rig.a_day()
    rig.clock.now_ms = TODAY * DAY_MS
    await archive_of(rig, tmp_path / "there", "there").archive()
    here = archive_of(rig, tmp_path / "here")
    assert await here.elsewhere() == {OLD: f"there:{tmp_path / 'there'}"}
    assert await here.read(OLD) is None
    assert await rig.client.pttl(rig.keys.archived()) > 0


async def test_late_events_in_a_file_of_a_second_machine_hide_no_file_of_the_first(
    rig: LedgerRig, tmp_path: Path
) -> None:
    subjects = await rig.a_day()
    rig.clock.now_ms = TODAY * DAY_MS
    await archive_of(rig, tmp_path / "first", "first").archive()
    rig.clock.now_ms = OLD * DAY_MS + 1
    await rig.settle("late", subjects[0])
    rig.clock.now_ms = TODAY * DAY_MS
    second = archive_of(rig, tmp_path / "second", "second")
    assert [done.events for done in await second.archive() or []] == [1]
    assert await second.elsewhere() == {OLD: f"first:{tmp_path / 'first'}"}
    here = archive_of(rig, tmp_path / "here", archive_days=30)
    assert await here.elsewhere() == {OLD: f"first:{tmp_path / 'first'}, second:{tmp_path / 'second'}"}
    rig.clock.advance(hours=24 * 21)
    assert await here.elsewhere() == {}  # removed there by their age


async def test_what_another_process_is_writing_is_no_leaving_of_a_crash(rig: LedgerRig, tmp_path: Path) -> None:
    await rig.a_day()
    rig.clock.now_ms = TODAY * DAY_MS
    archive, writer = archive_of(rig, tmp_path), RedisArchive(rig.session)
    (tmp_path / "events-2026-02-16.jsonl.gz.0123.draft").write_bytes(b"half")
    assert await writer.lock()
    await archive.run()
    assert await archive.remove_old() is None
    assert names(tmp_path) == ["events-2026-02-16.jsonl.gz.0123.draft"]
    await writer.unlock()
    await archive.run()  # the day's work was left to do
    assert names(tmp_path) == ["events-2026-02-16.jsonl.gz"]
