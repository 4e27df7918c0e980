"""The journal where disk or store fail halfway: order, what is told again, and what is forgotten."""

import asyncio
import logging
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalix.store.base import CallRejected, StoreUnavailable
from scalix.store.journal import journal as module
from scalix.store.journal.journal import Journal
from scalix.store.journal.journal_entries import Entry, Release, SettlementEntry
from scalix.store.journal.journal_file import JournalFile
from tests.store.test_journal import Told, crash, entry, left_in


def of(subject: str, number: int) -> SettlementEntry:
    given = entry(number)
    return replace(given, receipt=replace(given.receipt, subject=subject))


async def test_an_entry_that_the_store_did_not_take_is_told_again_though_others_after_it_were_taken(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    given = [of(f"user:{number}", number) for number in range(6)]
    for one in given:
        await journal.write(one)
    told: list[Entry] = []
    away = True

    async def apply(one: Entry) -> None:
        if one == given[2] and away:
            raise StoreUnavailable("gone")
        told.append(one)

    with pytest.raises(StoreUnavailable):
        await journal.replay(apply)
    assert set(told) == set(given) - {given[2]}
    away = False
    assert await journal.replay(apply) == 4
    assert given[2] in told
    assert not journal.pending_bytes
    await journal.close()


async def test_what_comes_while_the_disk_fails_is_written_behind_what_it_has_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "RETRY_S", 0.0)
    append, asked = JournalFile.append, threading.Event()
    more, failed = threading.Event(), False

    def failing_once(file: JournalFile, entries: list[Entry]) -> None:
        nonlocal failed
        if not failed:
            failed = True
            asked.set()
            more.wait(10)
            raise OSError(28, "No space left on device")
        append(file, entries)

    monkeypatch.setattr(JournalFile, "append", failing_once)
    journal, told = Journal(tmp_path), Told()
    first = journal.add(entry(1))
    await asyncio.to_thread(asked.wait, 10)
    second = journal.add(entry(2))
    more.set()
    await asyncio.gather(first, second)
    await journal.replay(told)
    assert told.entries == [entry(1), entry(2)]
    await journal.close()


async def test_nobody_is_let_through_while_the_disk_does_not_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    append, asked, go_on = JournalFile.append, threading.Event(), threading.Event()

    def slow(file: JournalFile, entries: list[Entry]) -> None:
        asked.set()
        go_on.wait(10)
        append(file, entries)

    monkeypatch.setattr(JournalFile, "append", slow)
    journal = Journal(tmp_path)
    written = journal.add(entry(1))
    await asyncio.to_thread(asked.wait, 10)
    assert journal.has_room
    monkeypatch.setattr(module, "_STUCK_AFTER_S", 0.0)
    assert not journal.has_room
    go_on.set()
    await written
    assert journal.has_room
    await journal.close()


async def test_of_a_dead_processs_file_nothing_is_known_once_it_is_done_with(tmp_path: Path) -> None:
    dead = JournalFile.create(tmp_path)
    dead.append([Release("r1", "user:ada"), Release("r2", "user:ada")])
    crash(dead)
    journal = Journal(tmp_path)
    refused: dict[Any, int] = {}

    async def apply(one: Entry) -> None:
        refused[one] = refused.get(one, 0) + 1
        if refused[one] < 3:
            raise CallRejected("no")

    for _ in range(4):
        with pytest.raises(CallRejected):
            await journal.replay(apply)
    assert await journal.replay(apply) == 1
    assert journal._replay.rejections == {}
    assert left_in(tmp_path) == [journal._file.path]
    await journal.close()


async def test_what_is_no_journal_and_can_not_be_moved_is_told_of_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "1-odd.journal").mkdir()
    monkeypatch.setattr(module, "set_file_aside", lambda path: None)
    journal, told = Journal(tmp_path), Told()
    await journal.write(entry(1))
    with caplog.at_level(logging.CRITICAL):
        for _ in range(3):
            await journal.replay(told)
    assert told.entries == [entry(1)]
    path = tmp_path / "1-odd.journal"
    assert [record.getMessage() for record in caplog.records if "1-odd" in record.getMessage()] == [
        f"{path} is no journal that can be read (Is a directory); it is kept as {path}"
    ]
    await journal.close()
