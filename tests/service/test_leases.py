"""A worker that dies leaves reservations behind; those of a living one stay, however long its requests take."""

from pathlib import Path

import pytest

from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.quota import Admitted, Outcome
from scalix.domain.policy import Tier
from scalix.service.exchange.endings import Use
from scalix.service.exchange.exchanges import Exchange, Exchanges
from scalix.service.exchange.outage import Outage
from scalix.service.exchange.settlement import LEASE_MS, Settlement
from scalix.service.identity.callers import Caller
from scalix.store.journal.journal import Journal
from scalix.store.quota.local import LocalCounters
from tests.exchanges import made_exchange
from tests.store.stores import Rig, ask, limits, memory_rig, redis_rig

LIMITS = limits(requests={"hour": 10}, tokens={"day": 10_000})
SUBJECT = Subject("user", "alice")


@pytest.fixture(params=["memory", "redis"])
async def rig(request: pytest.FixtureRequest, key_prefix: str):  # type: ignore[no-untyped-def]
    rig = memory_rig() if request.param == "memory" else redis_rig(request.getfixturevalue("store_url"), key_prefix)
    yield rig
    await rig.close()


class Worker:
    """One process as settlement sees it: exchanges of its own, one store with all others."""

    def __init__(self, rig: Rig, folder: Path) -> None:
        self.exchanges = Exchanges()
        outage = Outage(LocalCounters(rig.clock), Journal(folder / str(id(self))))
        self.settlement = Settlement(rig.quotas, self.exchanges, outage)
        self._rig = rig

    async def admit(self, request_id: str) -> Exchange:
        asked = ask(request_id, LIMITS, subject=str(SUBJECT), prompt_tokens=30, lease_ms=LEASE_MS)
        decision = await self._rig.quotas.admit(asked)
        assert isinstance(decision, Admitted)
        caller = Caller(SUBJECT, Tier("free"), LIMITS)
        exchange = made_exchange(caller, admitted=decision, limits=LIMITS, prices=asked.prices)
        self.exchanges.add(exchange)
        return exchange


async def _used(rig: Rig) -> tuple[int, int, int, int]:
    """Requests and tokens settled, requests and tokens held."""
    _, tallies = await rig.quotas.tallies(str(SUBJECT))
    tally = next(tally for window, tally in tallies.items() if window.value == "day")
    return tally.requests_used, tally.tokens_used, tally.requests_held, tally.tokens_held


async def test_a_dead_workers_requests_are_charged_their_prompt_once_by_any_other(rig: Rig, tmp_path: Path) -> None:
    dead, alive, third = Worker(rig, tmp_path), Worker(rig, tmp_path), Worker(rig, tmp_path)
    for number in range(3):
        await dead.admit(f"r{number}")
    rig.clock.advance(seconds=LEASE_MS / 1000 - 1)
    assert await alive.settlement.sweep() == 0

    rig.clock.advance(seconds=2)
    assert await alive.settlement.sweep() == 3
    assert await third.settlement.sweep() == 0
    assert await _used(rig) == (3, 90, 0, 0)


async def test_a_stream_of_an_hour_keeps_its_reservation_while_its_worker_lives(rig: Rig, tmp_path: Path) -> None:
    worker, other = Worker(rig, tmp_path), Worker(rig, tmp_path)
    exchange = await worker.admit("long")
    for _ in range(180):
        rig.clock.advance(seconds=20)
        await worker.settlement.renew_leases()
        assert await other.settlement.sweep() == 0
    assert (await _used(rig))[2:] == (1, 130)

    await worker.settlement.settle(exchange, exchange.ended(Outcome.CLIENT_CUT, Use(delivered_tokens=70)))
    assert await _used(rig) == (1, 100, 0, 0)
    rig.clock.advance(seconds=120)
    assert await other.settlement.sweep() == 0


async def test_a_settlement_after_the_sweep_replaces_its_charge(rig: Rig, tmp_path: Path) -> None:
    frozen, other = Worker(rig, tmp_path), Worker(rig, tmp_path)
    exchange = await frozen.admit("late")
    rig.clock.advance(seconds=LEASE_MS / 1000 + 1)
    assert await other.settlement.sweep() == 1
    assert await _used(rig) == (1, 30, 0, 0)

    await frozen.settlement.settle(exchange, exchange.ended(Outcome.PROVIDER_FAILED))
    assert await _used(rig) == (0, 0, 0, 0)
    await frozen.settlement.settle(exchange, exchange.ended(Outcome.CLIENT_CUT, Use(delivered_tokens=70)))
    assert await _used(rig) == (0, 0, 0, 0)


async def test_renewing_what_has_ended_brings_nothing_back(rig: Rig, tmp_path: Path) -> None:
    worker, other = Worker(rig, tmp_path), Worker(rig, tmp_path)
    exchange = await worker.admit("ended")
    await worker.settlement.settle(exchange, exchange.ended(Outcome.CLIENT_LEFT))
    await rig.quotas.renew([exchange.admission.receipt], LEASE_MS)
    rig.clock.advance(seconds=LEASE_MS / 1000 + 1)
    assert await other.settlement.sweep() == 0
    assert await _used(rig) == (1, 30, 0, 0)


async def test_the_place_of_what_was_let_through_beside_the_store_is_nothing_that_the_store_is_told_of(
    rig: Rig, tmp_path: Path
) -> None:
    worker = Worker(rig, tmp_path)
    exchange = await worker.admit("r1")
    for local in (True, False):
        assert await _used(rig) == (0, 0, 1, 130)
        one = made_exchange(
            exchange.admission.caller,
            admitted=exchange.admission.reservation.admitted,
            limits=limits(concurrent=2),
            local=local,
        )
        await worker.settlement.free_slot(one)
    assert (await _used(rig))[2] == 0
