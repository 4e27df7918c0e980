"""When a backup is made, and by whom: against a real store, with a clock that stands."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from scalix.domain.backup import BackupSettings
from scalix.domain.policy import Policy
from scalix.service.backup.erasures import ErasureNotes
from scalix.service.backup.schedule import RETRY_S, BackupSchedule
from scalix.service.policy_source import PolicySource
from scalix.store.backup.redis_backups import BackupStore, LastBackup
from scalix.store.backup.redis_erasures import ErasedStore
from scalix.store.connection.session import StoreSession
from tests.store.backup_rig import session_at
from tests.store.stores import Clock

HOURS_6 = BackupSettings(to="/nowhere", every_hours=6)


class Rig:
    """Schedules of several processes over one store; `made` are the times at which one of them made a backup."""

    def __init__(self, session: StoreSession, clock: Clock) -> None:
        self.session = session
        self.clock = clock
        self.made: list[int] = []
        self.fault = ""
        self.seconds = 0.0
        self.policy = PolicySource(Policy({}, "free", backup=HOURS_6))

    def schedule(self) -> BackupSchedule:
        notes = ErasureNotes(ErasedStore(self.session), None)

        async def make(token: str) -> str:
            await asyncio.sleep(0.05)
            if self.fault:
                return self.fault
            self.made.append(self.clock.now_ms)
            await BackupStore(self.session, token).note(LastBackup(self.clock.now_ms, "one", 1, 1, 1))
            return ""

        return BackupSchedule(BackupStore(self.session), self.policy, lambda _: notes, make, clock=lambda: self.seconds)


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    clock = Clock()
    async with session_at(store_url, key_prefix, clock) as session:
        yield Rig(session, clock)


async def test_of_several_processes_one_makes_the_backup_that_is_due(rig: Rig) -> None:
    processes = [rig.schedule() for _ in range(4)]
    for hours, number in ((0, 1), (5.9, 1), (0.1, 2), (6, 3)):
        rig.clock.advance(hours=hours)
        await asyncio.gather(*(one.run() for one in processes))
        assert len(rig.made) == number
    for one in processes:
        await one.run()
        assert one.figures == {"backup_age_s": 0}


async def test_a_late_backup_is_an_alarm(rig: Rig) -> None:
    process = rig.schedule()
    await process.run()
    rig.fault = "the disk is full"
    rig.clock.advance(hours=13)
    await process.run()
    assert process.figures == {"backup_age_s": 13 * 3600, "backup_late": 1}


async def test_what_fails_is_told_and_tried_again_after_a_while(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    process = rig.schedule()
    rig.fault = "the disk is full"
    with caplog.at_level(logging.ERROR):
        await process.run()
        await process.run()
    assert [record.getMessage() for record in caplog.records] == [
        "no backup could be made, it is tried again in 10 minutes: the disk is full"
    ]
    rig.fault = ""
    await process.run()
    assert not rig.made
    rig.seconds += RETRY_S
    await process.run()
    assert len(rig.made) == 1


async def test_without_a_place_none_is_made(rig: Rig) -> None:
    rig.policy.replace(replace(rig.policy.current, backup=BackupSettings()))
    process = rig.schedule()
    await process.run()
    assert (rig.made, process.figures) == ([], {})


async def test_new_settings_hold_at_the_next_look(rig: Rig) -> None:
    process = rig.schedule()
    await process.run()
    rig.clock.advance(hours=2)
    await process.run()
    assert len(rig.made) == 1
    rig.policy.replace(replace(rig.policy.current, backup=replace(HOURS_6, every_hours=1)))
    await process.run()
    assert len(rig.made) == 2
    rig.policy.replace(replace(rig.policy.current, backup=replace(HOURS_6, every_hours=0)))
    rig.clock.advance(hours=200)
    await process.run()
    assert len(rig.made) == 2
