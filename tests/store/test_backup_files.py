"""What a machine keeps beside the store is in its backup: journals, lines that were set aside, and the archive."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scalix.domain.backup import BackupSettings
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Charge, Outcome
from scalix.domain.policy import Policy
from scalix.service.exchange.outage import apply_to
from scalix.service.ledger.archive import Archive
from scalix.service.policy_source import PolicySource
from scalix.store.backup.local_files import LocalFiles
from scalix.store.journal.journal import Journal
from scalix.store.journal.journal_entries import SettlementEntry
from scalix.store.journal.journal_file import HEADER_BYTES
from scalix.store.ledger.archive_files import ArchiveFiles
from scalix.store.ledger.redis_archive import RedisArchive
from scalix.store.privacy.redis_erasure import ErasureStore
from tests.store.backup_rig import parts_of
from tests.store.ledger_rig import TODAY, LedgerRig

SETTINGS = BackupSettings()


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix)
    yield rig
    await rig.close()


def archive_of(rig: LedgerRig, state: Path) -> Archive:
    return Archive(
        RedisArchive(rig.session),
        ArchiveFiles(state / "archive"),
        PolicySource(Policy({}, "free")),
        now_ms=rig.clock,
        host="here",
    )


async def journaled(rig: LedgerRig, state: Path, *users: str) -> None:
    """A settlement of each user that a worker could not tell the store before it died."""
    journal = Journal(state / "journal")
    for user in users:
        receipt = await rig.admit(f"journaled-{user}", f"user:{user}")
        assert await journal.write(SettlementEntry(receipt, Charge(Outcome.SUCCESS, 1, 40, 500)), wait_s=5)
    await journal.close()


async def test_what_a_journal_holds_is_told_to_the_restored_store_once(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    await journaled(rig, tmp_path / "state", "alice", "bob")
    (tmp_path / "state" / "journal" / "1-a.set-aside").write_text("a line that nobody could read\n")
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    other = LedgerRig(store_url, f"{key_prefix}2:", clock=rig.clock)
    # Twice, as after a restore that broke off: the entries are there twice then, and count once.
    for _ in range(2):
        restored = await parts_of(other.session, tmp_path, "other").restoring.restore(None, replace=True)
        assert restored.contents.journal_entries == 2
    journal = Journal(tmp_path / "other" / "journal")
    assert await journal.replay(lambda entry: apply_to(other.quotas, entry)) == 4
    await journal.close()
    found = await other.verify()
    assert (found.events, found.differences) == (2, [])
    kept = (tmp_path / "other" / "journal" / "restored.set-aside").read_text()
    assert kept == "a line that nobody could read\n"
    await other.close()


async def test_archived_days_are_restored_and_a_file_that_is_there_stays(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    rig.clock.now_ms -= 5 * DAY_MS
    await rig.a_day(users=3, requests=4)
    rig.clock.now_ms += 5 * DAY_MS
    days = await archive_of(rig, tmp_path / "state").archive(2)
    assert days
    day = days[0]
    assert (day.day, day.events) == (TODAY - 5, 12)
    await parts_of(rig.session, tmp_path).making.create(SETTINGS)
    other = LedgerRig(store_url, f"{key_prefix}2:", clock=rig.clock)
    restored = await parts_of(other.session, tmp_path, "other").restoring.restore(None)
    assert restored.contents.archived_days == 1
    files = archive_of(other, tmp_path / "other").files
    assert files.path(day.day).read_bytes() == ArchiveFiles(tmp_path / "state" / "archive").path(day.day).read_bytes()
    archived = await archive_of(other, tmp_path / "other").read(day.day)
    found = await other.check.verify(day.day, archived=archived)
    assert (found.events, found.differences) == (12, [])
    files.path(day.day).write_bytes(b"newer")
    await parts_of(other.session, tmp_path, "other").restoring.restore(None, replace=True)
    assert files.path(day.day).read_bytes() == b"newer"
    await other.close()


async def test_of_who_was_erased_since_neither_journal_nor_archive_says_anything(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    (tmp_path / "state").mkdir()
    rig.clock.now_ms -= 5 * DAY_MS
    await rig.settle("old", "user:alice")
    await rig.settle("old-too", "user:bob")
    rig.clock.now_ms += 5 * DAY_MS
    await archive_of(rig, tmp_path / "state").archive(2)
    await journaled(rig, tmp_path / "state", "alice", "bob")
    parts = parts_of(rig.session, tmp_path)
    await parts.making.create(SETTINGS)
    await parts.restoring.notes.note("user:alice")
    await ErasureStore(rig.session).erase("alice")
    other = LedgerRig(store_url, f"{key_prefix}2:", clock=rig.clock)
    assert (await parts_of(other.session, tmp_path, "other").restoring.restore(None)).erased_again == 1
    state = tmp_path / "other"
    assert ArchiveFiles(state / "archive").read(TODAY - 5).keys() == {"user:bob"}
    journal = "".join(path.read_text() for path in (state / "journal").glob("*.journal"))
    assert "user:bob" in journal
    assert "alice" not in journal
    await other.close()


async def test_lines_that_were_put_back_are_in_a_backup_and_what_is_no_journal_keeps_nobody_from_making_one(
    rig: LedgerRig, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    await journaled(rig, state, "alice", "bob")
    (written,) = (state / "journal").glob("*.journal")
    put_back = written.read_bytes()[HEADER_BYTES:]  # as from a file of lines that were set aside: without a header
    (state / "journal" / "back.journal").write_bytes(put_back)
    written.unlink()
    (state / "journal" / "folder.journal").mkdir()
    os.mkfifo(state / "journal" / "pipe.set-aside")
    assert list(LocalFiles(state).journal_lines()) == [["j", line] for line in put_back.decode().splitlines()]


async def test_who_was_erased_since_is_found_also_where_a_journal_alone_or_the_archive_alone_names_them(
    rig: LedgerRig, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    before = LedgerRig(store_url, f"{key_prefix}1:", clock=rig.clock)  # a store that was lost since
    rig.clock.now_ms -= 5 * DAY_MS
    await before.settle("old", "user:alice")
    await before.settle("old-too", "user:bob")
    rig.clock.now_ms += 5 * DAY_MS
    await archive_of(before, state).archive(2)
    await journaled(before, state, "carol", "dave")
    parts = parts_of(rig.session, tmp_path)
    await parts.making.create(SETTINGS)
    for user in ("alice", "carol"):
        await parts.restoring.notes.note(f"user:{user}")
    other = LedgerRig(store_url, f"{key_prefix}2:", clock=rig.clock)
    assert (await parts_of(other.session, tmp_path, "other").restoring.restore(None)).erased_again == 2
    assert ArchiveFiles(tmp_path / "other" / "archive").read(TODAY - 5).keys() == {"user:bob"}
    journal = "".join(path.read_text() for path in (tmp_path / "other" / "journal").glob("*.journal"))
    assert ("user:carol" in journal, "user:dave" in journal) == (False, True)
    await before.close()
    await other.close()
