"""The journal on disk: nothing is lost and nothing counts twice, wherever its process ends."""

import asyncio
import fcntl
import logging
import multiprocessing
import os
import socket
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from scalix.domain.limits.quota import Charge, Outcome, Receipt
from scalix.store.base import CallRejected, StoreUnavailable
from scalix.store.journal.journal import Journal
from scalix.store.journal.journal_entries import Entry, Release, SettlementEntry, decoded, encoded
from scalix.store.journal.journal_file import HEADER_BYTES, JournalFile, Line
from scalix.store.journal.set_aside import SetAside


def entry(number: int) -> SettlementEntry:
    receipt = Receipt(f"r{number:04d}", "user:alice", 1_772_107_200_000 + number, 10, 100, False)
    return SettlementEntry(receipt, Charge(Outcome.SUCCESS, 1, number, 0))


class Told:
    """A store that takes each entry once, by its id, as the real one does."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.times_told = 0
        self.error: BaseException | None = None
        self.fails_at: int | None = None

    async def __call__(self, given: Entry) -> None:
        self.times_told += 1
        if self.error is not None and (self.fails_at is None or self.times_told == self.fails_at):
            raise self.error
        if given not in self.entries:
            self.entries.append(given)


class Crash(BaseException):
    """The process ends here."""


def crash(file: JournalFile) -> None:
    """What the kernel does with a process's file when it ends."""
    file.close()


def left_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def reopened(directory: Path, told: Told) -> None:
    """Another process of the same state directory finds the file."""
    journal = Journal(directory)
    await journal.replay(told)
    await journal.close()


async def test_what_was_written_is_replayed_in_order_and_then_gone(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    await asyncio.gather(*(journal.write(entry(number)) for number in range(500)))
    assert journal.pending_bytes
    assert await journal.replay(told) == 500
    assert told.entries == [entry(number) for number in range(500)]
    assert not journal.pending_bytes
    assert await journal.replay(told) == 0
    await journal.close()
    assert left_in(tmp_path) == []


async def test_the_file_is_private_and_holds_no_more_than_the_receipt_and_the_charge(tmp_path: Path) -> None:
    directory = tmp_path / "journal"
    journal = Journal(directory)
    await journal.write(entry(1))
    (path,) = left_in(directory)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    line = path.read_bytes()[HEADER_BYTES:]
    assert line == encoded(entry(1))
    assert path.name.startswith(f"{os.getpid()}-")


def test_every_kind_of_entry_reads_back_as_it_was() -> None:
    for given in (entry(3), Release("r1", "user:bob with spaces\n")):
        assert decoded(encoded(given)) == given


@pytest.mark.parametrize("line", [b"", b"\n", b"00000000 {}\n", b"nonsense\n", encoded(entry(1))[:-5] + b"\n"])
def test_a_damaged_line_is_no_entry(line: bytes) -> None:
    assert decoded(line) is None


# The steps of a write and of a replay, each cut before and after it.


class Crashing(JournalFile):
    """Ends its process before or after one step."""

    step, after = "", False

    def _at(self, step: str, act: Callable[[], None]) -> None:
        if step == self.step and not self.after:
            raise Crash
        act()
        if step == self.step:
            raise Crash

    def write(self, data: bytes) -> None:
        self._at("write", lambda: super(Crashing, self).write(data))

    def sync(self) -> None:
        self._at("sync", lambda: super(Crashing, self).sync())

    def mark(self, offset: int) -> None:
        self._at("mark", lambda: super(Crashing, self).mark(offset))

    def truncate(self) -> None:
        self._at("truncate", lambda: super(Crashing, self).truncate())


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["write", "sync"])
def test_a_process_that_ends_while_it_writes_loses_nothing_that_was_acknowledged(
    tmp_path: Path, step: str, after: bool
) -> None:
    file = Crashing.create(tmp_path)
    file.append([entry(1), entry(2)])
    file.step, file.after = step, after
    with pytest.raises(Crash):
        file.append([entry(3)])
    crash(file)
    told = Told()
    asyncio.run(reopened(tmp_path, told))
    assert told.entries[:2] == [entry(1), entry(2)]
    assert told.entries[2:] in ([], [entry(3)])
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("kept", [0, 1, 8, 9, 50, len(encoded(entry(3))) - 1])
async def test_a_last_line_that_was_torn_anywhere_is_ignored(tmp_path: Path, kept: int) -> None:
    file = JournalFile.create(tmp_path)
    file.append([entry(1), entry(2)])
    file.write(encoded(entry(3))[:kept])
    crash(file)
    told = Told()
    await reopened(tmp_path, told)
    assert told.entries == [entry(1), entry(2)]
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", ["mark", "truncate"])
async def test_a_process_that_ends_while_it_replays_repeats_at_most_what_the_store_has_had(
    tmp_path: Path, step: str, after: bool
) -> None:
    journal, told = Journal(tmp_path), Told()
    file = Crashing.create(tmp_path)
    journal._file.remove()
    journal._file = file
    for number in range(5):
        await journal.write(entry(number))
    file.step, file.after = step, after
    with pytest.raises(Crash):
        await journal.replay(told)
    crash(file)
    await reopened(tmp_path, told)
    assert told.entries == [entry(number) for number in range(5)]
    assert told.times_told in (5, 10)
    assert left_in(tmp_path) == []


@pytest.mark.parametrize("fails_at", range(1, 6))
async def test_a_process_that_ends_between_two_settlements_goes_on_after_the_last_mark(
    tmp_path: Path, fails_at: int
) -> None:
    journal, told = Journal(tmp_path), Told()
    for number in range(5):
        await journal.write(entry(number))
    told.error, told.fails_at = Crash(), fails_at
    with pytest.raises(Crash):
        await journal.replay(told)
    crash(journal._file)
    told.error = None
    await reopened(tmp_path, told)
    assert told.entries == [entry(number) for number in range(5)]


async def test_a_torn_mark_counts_as_none(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.append([entry(1), entry(2)])
    file.mark(file.size)
    os.pwrite(file._fd, b"9" * 8, HEADER_BYTES - 20)
    crash(file)
    told = Told()
    await reopened(tmp_path, told)
    assert told.entries == [entry(1), entry(2)]


# Replay


async def test_replay_stops_where_the_store_goes_away_and_goes_on_from_there(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    for number in range(5):
        await journal.write(entry(number))
    told.error, told.fails_at = StoreUnavailable("gone"), 3
    with pytest.raises(StoreUnavailable):
        await journal.replay(told)
    assert len(told.entries) == 2
    told.error = None
    assert await journal.replay(told) == 3
    assert told.entries == [entry(number) for number in range(5)]
    assert told.times_told == 6
    await journal.close()


async def test_subjects_do_not_wait_for_each_other_and_each_ones_entries_keep_their_order(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    both_asked, asked = asyncio.Event(), set()
    for number in range(6):
        await journal.write(Release(f"r{number}", f"user:{number % 2}"))

    async def meeting(given: Entry) -> None:
        assert isinstance(given, Release)
        asked.add(given.subject)
        if len(asked) == 2:
            both_asked.set()
        await both_asked.wait()
        await told(given)

    assert await journal.replay(meeting) == 6
    for subject in ("user:0", "user:1"):
        ids = [given.request_id for given in told.entries if isinstance(given, Release) and given.subject == subject]
        assert ids == sorted(ids)
        assert len(ids) == 3
    await journal.close()


async def test_what_comes_during_a_replay_is_replayed_after_it(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    await journal.write(entry(0))

    async def slow(given: Entry) -> None:
        if given == entry(0):
            await journal.write(entry(1))
        await told(given)

    await journal.replay(slow)
    await journal.replay(slow)
    assert told.entries == [entry(0), entry(1)]
    await journal.close()
    assert left_in(tmp_path) == []


async def test_a_corrupt_line_is_set_aside_and_said_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = JournalFile.create(tmp_path)
    file.append([entry(1), entry(2), entry(3)])
    damaged = bytearray(encoded(entry(2)))
    damaged[30] ^= 1
    os.pwrite(file._fd, damaged, HEADER_BYTES + len(encoded(entry(1))))
    crash(file)
    told = Told()
    with caplog.at_level(logging.CRITICAL, "scalix.journal"):
        await reopened(tmp_path, told)
    assert told.entries == [entry(1), entry(3)]
    (aside,) = left_in(tmp_path)
    assert aside.read_bytes() == bytes(damaged)
    assert str(aside) in caplog.text


async def test_set_aside_lines_are_replayed_when_they_are_put_back_by_their_name(tmp_path: Path) -> None:
    (tmp_path / "mended.journal").write_bytes(encoded(entry(1)) + encoded(entry(2)))
    told = Told()
    await reopened(tmp_path, told)
    assert told.entries == [entry(1), entry(2)]


async def test_an_entry_that_the_store_never_takes_does_not_hold_up_the_others_for_ever(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal, told = Journal(tmp_path), Told()
    for number in range(3):
        await journal.write(entry(number))

    async def picky(given: Entry) -> None:
        if given == entry(1):
            raise CallRejected("wrong type")
        await told(given)

    for _ in range(4):
        with pytest.raises(CallRejected):
            await journal.replay(picky)
    assert told.entries == [entry(0)]
    await journal.replay(picky)
    assert told.entries == [entry(0), entry(2)]
    await journal.close()
    (aside,) = left_in(tmp_path)
    assert aside.read_bytes() == encoded(entry(1))
    assert "wrong type" in caplog.text


async def test_an_entry_that_is_taken_after_all_is_no_longer_counted_against_what_ends_where_it_did(
    tmp_path: Path,
) -> None:
    # Given an entry that the store has refused four times, and then takes
    journal, told = Journal(tmp_path), Told()
    told.error = CallRejected("busy")
    await journal.write(entry(1))
    for _ in range(4):
        with pytest.raises(CallRejected):
            await journal.replay(told)
    told.error = None
    assert await journal.replay(told) == 1
    # When another one, which ends at the same place of the emptied file, is refused once
    await journal.write(entry(2))
    told.error = CallRejected("busy")
    with pytest.raises(CallRejected):
        await journal.replay(told)
    # Then it is kept for the next time, and the count is forgotten with the file
    told.error = None
    assert await journal.replay(told) == 1
    assert told.entries == [entry(1), entry(2)]
    assert journal._replay.rejections == {}
    await journal.close()
    assert left_in(tmp_path) == []


@pytest.mark.parametrize(
    "broken", [Receipt("r1", "user:\ud800", 1, 10, 100, False), Receipt("r1", "user:x", 10**30, 10, 100, False)]
)
async def test_an_entry_that_can_not_be_written_takes_none_of_its_neighbours_with_it(
    tmp_path: Path, broken: Receipt, caplog: pytest.LogCaptureFixture
) -> None:
    journal, told = Journal(tmp_path), Told()
    # Given three entries of one batch, of which JSON can't hold the second
    odd = SettlementEntry(broken, Charge(Outcome.SUCCESS, 1, 1, 0))
    async with asyncio.timeout(5):
        await asyncio.gather(*map(journal.add, (entry(1), odd, entry(3))))
    # When they are replayed
    await journal.replay(told)
    # Then its neighbours are told, and it is kept for a person to read
    assert told.entries == [entry(1), entry(3)]
    await journal.close()
    (aside,) = left_in(tmp_path)
    assert b"r1" in aside.read_bytes()
    assert str(aside) in caplog.text


# Several processes


def _pipe(path: Path) -> None:
    os.mkfifo(path)


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize("make", [_pipe, _link, _socket, Path.mkdir])
async def test_what_is_no_journal_is_set_aside_and_stops_the_recovery_of_no_other(
    tmp_path: Path, make: Callable[[Path], object], caplog: pytest.LogCaptureFixture
) -> None:
    # Given two dead processes' files, and something else of such a name that is older, and so comes first
    make(tmp_path / "0-odd.journal")
    for number in range(2):
        dead = Journal(tmp_path)
        await dead.write(entry(number))
        crash(dead._file)
    # When a successor starts
    heir, told = Journal(tmp_path), Told()
    async with asyncio.timeout(5):
        replayed = await heir.replay(told)
    # Then it has both, and says what was no journal, once
    assert replayed == 2
    assert sorted(told.entries, key=str) == [entry(0), entry(1)]
    assert caplog.text.count("0-odd.unusable") == 1
    await heir.replay(told)
    assert caplog.text.count("0-odd.unusable") == 1
    await heir.close()
    assert left_in(tmp_path) == [tmp_path / "0-odd.unusable"]


async def test_a_rejected_entry_of_one_dead_process_does_not_hold_up_the_files_of_others(tmp_path: Path) -> None:
    for number in range(2):
        dead = Journal(tmp_path)
        await dead.write(entry(number))
        crash(dead._file)
    heir, told = Journal(tmp_path), Told()

    async def picky(given: Entry) -> None:
        if given == entry(0):
            raise CallRejected("wrong type")
        await told(given)

    with pytest.raises(CallRejected):
        await heir.replay(picky)
    assert told.entries == [entry(1)]
    await heir.close()


async def test_an_entry_that_fails_of_a_fault_of_ours_is_set_aside_and_holds_up_no_other(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    await asyncio.gather(*(journal.write(entry(number)) for number in range(3)))

    async def failing(given: Entry) -> None:
        if given == entry(1):
            raise UnicodeEncodeError("utf-8", "canary", 0, 1, "surrogates not allowed")
        await told(given)

    for _ in range(4):
        with pytest.raises(CallRejected):
            await journal.replay(failing)
    await journal.replay(failing)
    assert told.entries == [entry(0), entry(2)]
    await journal.close()
    (aside,) = left_in(tmp_path)
    assert aside.read_bytes() == encoded(entry(1))


async def test_what_waits_for_the_disk_when_its_writer_is_cancelled_is_written_at_the_end(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    # Given a disk that is busy, and an entry whose turn has not come
    let_go = threading.Event()
    journal._disk.submit(let_go.wait)
    journal.add(entry(1))
    await asyncio.sleep(0)
    # When everything is cancelled, as when an event loop ends
    assert journal._flusher is not None
    journal._flusher.cancel()
    await asyncio.wait([journal._flusher])
    let_go.set()
    await journal.close()
    # Then a successor finds it
    await reopened(tmp_path, told)
    assert told.entries == [entry(1)]


async def test_a_pipe_in_the_place_of_set_aside_lines_keeps_no_user_from_being_erased(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "1.set-aside")
    (tmp_path / "2.set-aside").write_bytes(encoded(entry(1)))
    async with asyncio.timeout(5):
        assert await SetAside(tmp_path).forget("user:alice") == 1


def _replay_as_nobody(directory: Path, told: "multiprocessing.Queue[int]") -> None:
    os.setgid(65534)
    os.setuid(65534)

    async def run() -> None:
        heir = Journal(directory)
        told.put(await heir.replay(Told()))
        await heir.close()

    asyncio.run(run())


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_journal_of_somebody_else_is_set_aside_and_the_others_are_told() -> None:
    with tempfile.TemporaryDirectory() as made:
        directory = Path(made)
        for number in range(2):
            file = JournalFile.create(directory)
            file.append([entry(number)])
            file.close()
            os.chown(file.path, 65534 if number else 0, 65534)
        theirs = {path for path in directory.iterdir() if path.stat().st_uid == 0}
        os.chown(directory, 65534, 65534)
        processes = multiprocessing.get_context("fork")
        told = processes.Queue()
        heir = processes.Process(target=_replay_as_nobody, args=(directory, told))
        heir.start()
        heir.join(20)
        assert told.get(timeout=1) == 1
        assert set(left_in(directory)) == {path.with_suffix(".unusable") for path in theirs}


async def test_what_was_let_through_without_the_store_and_has_ended_is_forgotten(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    journal.admissions.begin(Release("r0001", "user:alice"), entry(1))
    journal.admissions.end("r0001")
    # When the store is there again, and the process dies later
    await journal.replay(told)
    await journal._on_disk(journal._file.close)
    assert journal.admissions._file is not None
    await journal._on_disk(journal.admissions._file.close)
    # Then nobody charges it by what it might have used: its event may be forgotten by then
    await reopened(tmp_path, told)
    assert told.entries == []


async def test_a_living_processs_file_is_left_alone(tmp_path: Path) -> None:
    mine, others, told = Journal(tmp_path), Journal(tmp_path), Told()
    await others.write(entry(1))
    assert await mine.replay(told) == 0
    assert await others.replay(told) == 1
    await mine.close()
    await others.close()


async def test_a_dead_processs_file_is_taken_by_one_other_alone(tmp_path: Path) -> None:
    dead, told = Journal(tmp_path), Told()
    for number in range(100):
        await dead.write(entry(number))
    crash(dead._file)
    heirs = [Journal(tmp_path) for _ in range(5)]
    taken = await asyncio.gather(*(heir.replay(told) for heir in heirs))
    assert sorted(taken) == [0, 0, 0, 0, 100]
    assert told.times_told == 100
    for heir in heirs:
        await heir.close()
    assert left_in(tmp_path) == []


async def test_what_is_left_at_the_end_is_there_at_the_next_start(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    journal.add(entry(1))
    await journal.close()
    assert len(left_in(tmp_path)) == 1
    await reopened(tmp_path, told)
    assert told.entries == [entry(1)]


# Size, and a disk that does not do its work


async def test_it_says_when_it_is_nearly_full_and_when_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    size = len(encoded(entry(1)))
    journal, told = Journal(tmp_path, max_bytes=HEADER_BYTES + 10 * size), Told()
    for number in range(8):
        assert journal.has_room
        await journal.write(entry(number))
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    for number in range(8, 12):
        await journal.write(entry(number))
    assert [record.levelname for record in caplog.records] == ["ERROR", "CRITICAL"]
    assert "SCALIX_JOURNAL_MAX_BYTES" in caplog.text
    assert not journal.has_room
    await journal.replay(told)
    assert len(told.entries) == 12
    assert journal.has_room
    await journal.close()


class FullDisk(JournalFile):
    full = True

    def write(self, data: bytes) -> None:
        super().write(data[:10] if self.full else data)
        if self.full:
            raise OSError(28, "No space left on device")


async def test_a_full_disk_is_said_once_and_nothing_is_lost_when_it_has_room_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("scalix.store.journal.journal.RETRY_S", 0.001)
    journal, told = Journal(tmp_path), Told()
    journal._file.remove()
    file = journal._file = FullDisk.create(tmp_path)
    assert not await journal.write(entry(1), wait_s=0.05)
    assert not journal.has_room
    journal.add(entry(2))
    file.full = False
    await journal.add(entry(3))
    assert journal.has_room
    await journal.replay(told)
    assert told.entries == [entry(1), entry(2), entry(3)]
    assert sum(record.levelno == logging.CRITICAL for record in caplog.records) == 1
    await journal.close()


async def test_writes_that_come_together_share_one_wait_for_the_disk(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    appends: list[int] = []
    append = journal._file.append

    def counted(entries: list[Entry]) -> None:
        appends.append(len(entries))
        append(entries)

    journal._file.append = counted  # type: ignore[method-assign]
    await asyncio.gather(*(journal.write(entry(number)) for number in range(300)))
    assert sum(appends) == 300
    assert len(appends) <= 3
    await journal.close()


def test_a_line_longer_than_any_entry_does_not_fill_the_memory(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    file.write(b"x" * (3 << 20) + b"\n")
    file.size += (3 << 20) + 1
    lines: list[Line] = []
    while more := file.lines(lines[-1].end if lines else HEADER_BYTES):
        lines += more
    assert all(line.entry is None for line in lines)
    assert max(len(line.raw) for line in lines) <= 1 << 20
    file.remove()


async def test_two_replays_at_once_lose_nothing_that_comes_meanwhile(tmp_path: Path) -> None:
    journal, told = Journal(tmp_path), Told()
    gate, begun = asyncio.Event(), asyncio.Event()

    async def slow(given: Entry) -> None:
        begun.set()
        await gate.wait()
        await told(given)

    for number in range(3):
        await journal.write(entry(number))
    first = asyncio.create_task(journal.replay(slow))  # an erasure's, while the job's own comes
    await begun.wait()
    second = asyncio.create_task(journal.replay(told))
    await asyncio.wait([second], timeout=0.2)
    await journal.write(entry(3))
    gate.set()
    await asyncio.gather(first, second)
    await journal.replay(told)
    assert told.entries == [entry(number) for number in range(4)]
    await journal.close()


async def test_a_line_that_is_set_aside_while_the_file_is_removed_is_in_a_new_one(tmp_path: Path) -> None:
    file = JournalFile.create(tmp_path)
    path = file.path.with_suffix(".set-aside")
    path.write_bytes(b"of somebody who is erased\n")
    with path.open("rb") as cutter:
        fcntl.flock(cutter, fcntl.LOCK_EX)
        writing = asyncio.create_task(asyncio.to_thread(file.set_aside, Line(b"another\n", None, 8)))
        await asyncio.wait([writing], timeout=0.1)
        path.unlink()
    assert await writing == path
    assert path.read_bytes() == b"another\n"
    file.close()
