"""Requests that a shutdown cuts, or that fail on their way through the edge, are settled all the same."""

import asyncio
import logging
import secrets
from pathlib import Path
from typing import Any, cast

import pytest

from scalix.domain.errors import BadRequest
from scalix.domain.limits.quota import Charge, Outcome, Receipt, Settled
from scalix.edge import asking
from scalix.edge.accounts import Account
from scalix.service.exchange.outage import apply_to
from scalix.store.journal.journal import Journal
from scalix.store.journal.journal_entries import Entry, Release
from scalix.store.quota.redis_quota import QuotaStore
from tests.service.outage_rig import World


class SlowToEnd(asyncio.Event):
    """What the provider waits for; cut, it takes until `may_end`."""

    def __init__(self) -> None:
        super().__init__()
        self.has_begun, self.was_cut, self.may_end = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def wait(self) -> bool:  # type: ignore[override]
        self.has_begun.set()
        try:
            return bool(await super().wait())
        finally:
            self.was_cut.set()
            await self.may_end.wait()


def world(store_url: str, folder: Path) -> World:
    return World(store_url, folder, f"t{secrets.token_hex(6)}:", jobs=False)


async def test_the_worker_waits_for_a_cut_request_and_charges_it(store_url: str, tmp_path: Path) -> None:
    async with world(store_url, tmp_path) as one:
        user = await one.user("ada", "pro")
        one.provider.gate = slow = SlowToEnd()
        asking = asyncio.create_task(one.ask(user))
        await slow.has_begun.wait()
        # A server that shuts down cancels its requests, and goes on without waiting for them.
        asking.cancel()
        await slow.was_cut.wait()
        late = asyncio.create_task(one.core.exchange.settlement.finish_late(30))
        await asyncio.sleep(0)
        assert not late.done()
        assert len(one.core.exchange.exchanges) == 1
        slow.may_end.set()
        await late
        await asyncio.gather(asking, return_exceptions=True)
        assert len(one.core.exchange.exchanges) == 0
        assert (await one.day(user)).requests_used == 1


class Held:
    """A store whose settlements wait."""

    def __init__(self, store: QuotaStore) -> None:
        self._store = store
        self.has_begun, self.may_go_on = asyncio.Event(), asyncio.Event()

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        self.has_begun.set()
        await self.may_go_on.wait()
        return await self._store.settle(receipt, charge)


async def test_a_settlement_that_the_end_of_the_process_cuts_is_in_the_journal(store_url: str, tmp_path: Path) -> None:
    async with world(store_url, tmp_path) as one:
        user, settlement = await one.user("ada", "pro"), one.core.exchange.settlement
        store, settlement._store = settlement._store, cast(Any, held := Held(settlement._store))
        asking = asyncio.create_task(one.ask(user))
        await held.has_begun.wait()
        for task in settlement._running:
            task.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        journal = settlement._outage._journal
        await one.eventually(lambda: journal.pending_bytes)
        assert await journal.replay(lambda entry: apply_to(store, entry)) == 1
        assert (await one.day(user)).requests_used == 1


async def test_a_client_that_goes_while_its_request_is_settled_does_not_cut_that(
    store_url: str, tmp_path: Path
) -> None:
    async with world(store_url, tmp_path) as one:
        user, settlement = await one.user("ada", "pro"), one.core.exchange.settlement
        settlement._store = cast(Any, held := Held(settlement._store))
        asking = asyncio.create_task(one.ask(user))
        await held.has_begun.wait()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        held.may_go_on.set()
        await settlement.finish_late(10)
        assert settlement._outage._journal.is_empty
        assert (await one.day(user)).requests_used == 1


async def test_a_request_that_fails_before_it_is_forwarded_is_not_charged(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(body: object) -> bytes:
        raise BadRequest("The request's body can't be written.")

    monkeypatch.setattr(asking, "serialised", fail)
    async with world(store_url, tmp_path) as one:
        user = await one.user("ada", "pro")
        reply = await one.ask(user)
        assert reply.status == 400
        assert len(one.core.exchange.exchanges) == 0
        assert (await one.day(user)).requests_used == 0


async def test_an_answer_that_cant_be_concluded_is_charged(
    store_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(account: Account, outcome: Outcome) -> None:
        monkeypatch.undo()
        raise RuntimeError("the tokenizer is broken")

    monkeypatch.setattr(Account, "settle", fail)
    async with world(store_url, tmp_path) as one:
        user = await one.user("ada", "pro")
        with pytest.raises(IndexError):  # the rig finds no answer
            await one.ask(user)
        assert len(one.core.exchange.exchanges) == 0
        assert (await one.day(user)).requests_used == 1


async def test_an_entry_that_comes_after_the_close_is_found_by_the_next_process(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.close()
    entry = Release("late", "user:ada")
    assert await journal.write(entry)
    found: list[Entry] = []

    async def apply(entry: Entry) -> None:
        found.append(entry)

    successor = Journal(tmp_path)
    assert await successor.replay(apply) == 1
    assert found == [entry]
    await successor.close()


async def test_an_entry_that_is_lost_after_the_close_is_said_to_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "journal")
    await journal.close()
    (tmp_path / "journal").rmdir()
    with caplog.at_level(logging.CRITICAL):
        assert not await journal.write(Release("late", "user:ada"), wait_s=0)
    assert "could not be written" in caplog.text
