"""A gateway that dies at any step between a charge and its last trace on disk: nothing is lost, nothing counts twice.

Each step of writing and replaying the journal is cut before and after it, against a real server that really charges.
"""

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.ledger.ledger import Balance, Detail, Sums, sums_of
from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Prices, Receipt, Tally
from scalix.service.exchange.outage import apply_to
from scalix.store.base import StoreUnavailable
from scalix.store.journal.journal import Journal
from scalix.store.journal.journal_entries import Entry, Release, SettlementEntry
from scalix.store.journal.journal_file import JournalFile
from scalix.store.quota.redis_quota import QuotaStore
from tests.store.stores import NOON_MS, SUBJECT, Rig, ask, limits, memory_rig, redis_rig

DAY = NOON_MS // 86_400_000
CREDIT = 10**9
SETTLED = 6
RELEASED = 2


class Crash(BaseException):
    """The process ends here."""


@dataclass
class Steps:
    """Counts the steps of a process, and ends it at one of them: before it, or after."""

    crash_at: str = ""
    after: bool = False
    time: int = 1  # at the how manieth of them
    seen: list[str] = field(default_factory=list)

    def take(self, step: str, act: Callable[[], Any]) -> Any:
        self.seen.append(step)
        is_it = step == self.crash_at and self.seen.count(step) == self.time
        if is_it and not self.after:
            raise Crash
        done = act()
        if is_it:
            raise Crash
        return done


class SteppedFile(JournalFile):
    """A journal file whose steps are counted."""

    steps: Steps

    def write(self, data: bytes) -> None:
        self.steps.take("write", lambda: super(SteppedFile, self).write(data))

    def sync(self) -> None:
        self.steps.take("fsync", lambda: super(SteppedFile, self).sync())

    def mark(self, offset: int) -> None:
        self.steps.take("mark", lambda: super(SteppedFile, self).mark(offset))

    def truncate(self) -> None:
        self.steps.take("truncate", lambda: super(SteppedFile, self).truncate())

    def remove(self) -> None:
        self.steps.take("remove", lambda: super(SteppedFile, self).remove())


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str) -> AsyncIterator[Rig]:
    made = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield made
    await made.close()


async def entries(rig: Rig) -> list[Entry]:
    """What a gateway has to tell after an outage: charges, and reservations that nobody waited for. One was swept, and
    one is of a request that the store has never heard of."""
    await rig.balances.credit(SUBJECT, CREDIT, "c1")
    receipts = [await admitted(rig, f"r{number}") for number in range(SETTLED + RELEASED - 1)]
    rig.clock.advance(seconds=61)
    await rig.quotas.renew(receipts[1:], 3_600_000)
    assert await rig.quotas.sweep() == 1
    receipts.append(replace(receipts[-1], request_id="never admitted"))
    settled = [*receipts[: SETTLED - 1], receipts[-1]]
    found: list[Entry] = [SettlementEntry(receipt, charge(number)) for number, receipt in enumerate(settled)]
    return [*found, *(Release(f"r{number}", SUBJECT, None, NOON_MS) for number in (SETTLED - 1, SETTLED))]


async def admitted(rig: Rig, request_id: str) -> Receipt:
    asked = ask(request_id, limits(), is_billed=True, prices=Prices(1_000_000, 1_000_000), tier="pro", model="gpt-4")
    decision = await rig.quotas.admit(asked)
    assert isinstance(decision, Admitted)
    return decision.receipt


def charge(number: int) -> Charge:
    nano_usd = 1_000 + number
    detail = Detail("pro", "gpt-4", "gpt-4", "openai", 10, number, cost_nano_usd=nano_usd, charge_nano_usd=nano_usd)
    return Charge(Outcome.SUCCESS, 1, 10 + number, nano_usd, detail=detail)


async def assert_all_is_counted_once(rig: Rig, given: list[Entry]) -> None:
    """Windows, balance, ledger and sums hold each charge once, and nothing else."""
    charges = [entry.charge for entry in given if isinstance(entry, SettlementEntry)]
    ids = sorted(entry.receipt.request_id for entry in given if isinstance(entry, SettlementEntry))
    spent = sum(one.nano_usd for one in charges)
    used = Tally(len(charges), sum(one.tokens for one in charges), spent)
    assert (await rig.quotas.tallies(SUBJECT))[1][Window.DAY] == used
    assert await rig.balances.balance(SUBJECT) == Balance(CREDIT - spent)
    events = await rig.ledger.events(SUBJECT, DAY)
    assert sorted(event.request_id for event in events) == ids
    assert {event.outcome for event in events} == ({"success"} if events else set())
    total = sum(map(sums_of, events), Sums())
    for found in (await rig.ledger.summaries(SUBJECT, DAY, DAY), await rig.ledger.by_day(DAY, DAY)):
        assert sum((one.sums for one in found), Sums()) == total
    assert sum(score for _, score in await rig.ledger.top(DAY, DAY, "cost", 9)) == spent


def stepped(directory: Path, steps: Steps) -> Journal:
    """A journal whose file counts its steps from now on."""
    journal = Journal(directory)
    SteppedFile.steps = Steps()
    journal._file.remove()
    journal._file = SteppedFile.create(directory)
    SteppedFile.steps = steps
    return journal


def die(journal: Journal) -> None:
    """What the kernel does with a process's file when it ends."""
    fd = journal._file._fd
    if fd >= 0:
        os.close(fd)
        journal._file._fd = -1


def left_in(directory: Path) -> list[Path]:
    return list(directory.iterdir())


async def heir(directory: Path, store: QuotaStore) -> int:
    """Another gateway of the same state directory finds what the dead one left."""
    journal = Journal(directory)
    told = await journal.replay(lambda entry: apply_to(store, entry))
    await journal.close()
    assert left_in(directory) == []
    return told


def crashes(*steps: tuple[str, int]) -> list[Any]:
    """Before and after the given time of each step."""
    return [
        pytest.param(step, after, number, id=f"{'after' if after else 'before'} {step} {number}")
        for step, number in steps
        for after in (False, True)
    ]


@pytest.mark.parametrize(("step", "after", "number"), crashes(("write", 1), ("write", 4), ("fsync", 1), ("fsync", 4)))
async def test_a_death_while_writing_loses_nothing_that_was_acknowledged(
    rig: Rig, tmp_path: Path, step: str, after: bool, number: int
) -> None:
    given = await entries(rig)
    steps = Steps(step, after, number)
    journal = stepped(tmp_path, steps)
    acknowledged: list[Entry] = []

    def write_all() -> None:
        for entry in given:
            journal._file.append([entry])
            acknowledged.append(entry)

    with pytest.raises(Crash):
        write_all()
    die(journal)
    told = await heir(tmp_path, rig.quotas)
    # The one that was being written may have come to the disk or not; its client has no answer yet.
    assert told in (len(acknowledged), len(acknowledged) + 1)
    for entry in given[told:]:
        await apply_to(rig.quotas, entry)
    await assert_all_is_counted_once(rig, given)


@pytest.mark.parametrize(
    ("step", "after", "number"),
    crashes(("apply", 1), ("apply", 5), ("mark", 1), ("fsync", 1), ("truncate", 1), ("fsync", 2)),
)
async def test_a_death_while_replaying_counts_nothing_twice(
    rig: Rig, tmp_path: Path, step: str, after: bool, number: int
) -> None:
    given = await entries(rig)
    steps = Steps(step, after, number)
    journal = stepped(tmp_path, Steps())
    journal._file.append(given)
    SteppedFile.steps = steps

    async def apply(entry: Entry) -> None:
        steps.seen.append("apply")
        is_it = step == "apply" and steps.seen.count("apply") == number
        if is_it and not after:
            raise Crash
        await apply_to(rig.quotas, entry)
        if is_it:
            raise Crash

    with pytest.raises(Crash):
        await journal.replay(apply)
    die(journal)
    await heir(tmp_path, rig.quotas)
    await assert_all_is_counted_once(rig, given)


@pytest.mark.parametrize(("step", "after", "number"), crashes(("mark", 1), ("fsync", 1), ("remove", 1)))
async def test_a_death_of_the_one_who_took_over_counts_nothing_twice(
    rig: Rig, tmp_path: Path, step: str, after: bool, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = await entries(rig)
    dead = Journal(tmp_path)
    dead._file.append(given)
    die(dead)
    second = Journal(tmp_path)
    SteppedFile.steps = Steps(step, after, number)
    monkeypatch.setattr("scalix.store.journal.journal.JournalFile", SteppedFile)
    with pytest.raises(Crash):
        await second.replay(lambda entry: apply_to(rig.quotas, entry))
    monkeypatch.undo()
    second._file.remove()
    await heir(tmp_path, rig.quotas)
    await assert_all_is_counted_once(rig, given)


@pytest.mark.parametrize("fails_at", range(1, SETTLED + RELEASED + 1))
@pytest.mark.parametrize("acted", [False, True], ids=["lost on its way", "answer lost"])
async def test_a_store_that_goes_away_midway_is_told_the_rest_when_it_is_back(
    rig: Rig, tmp_path: Path, fails_at: int, acted: bool
) -> None:
    given = await entries(rig)
    journal = Journal(tmp_path)
    for entry in given:
        assert await journal.write(entry)
    calls = 0

    async def apply(entry: Entry) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            if acted:
                await apply_to(rig.quotas, entry)
            raise StoreUnavailable("gone")
        await apply_to(rig.quotas, entry)

    with pytest.raises(StoreUnavailable):
        await journal.replay(apply)
    assert await journal.replay(apply) == len(given) - fails_at + 1
    await journal.close()
    await assert_all_is_counted_once(rig, given)


async def test_a_whole_journal_that_is_told_again_days_later_changes_nothing(rig: Rig, tmp_path: Path) -> None:
    given = await entries(rig)
    for day in (0, 1, 20):
        rig.clock.now_ms = NOON_MS + 61_000 + day * 86_400_000
        for entry in given:
            await apply_to(rig.quotas, entry)
    rig.clock.now_ms = NOON_MS + 61_000
    await assert_all_is_counted_once(rig, given)


async def test_a_file_that_goes_while_it_is_looked_for_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from scalix.store.journal.journal_file import waiting_files

    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.journal").touch()
    glob = Path.glob

    def glob_and_remove(self: Path, pattern: str) -> list[Path]:
        found = sorted(glob(self, pattern))
        (tmp_path / "b.journal").unlink()
        return found

    monkeypatch.setattr(Path, "glob", glob_and_remove)
    assert {path.name for path in waiting_files(tmp_path)} == {"a.journal", "c.journal"}
