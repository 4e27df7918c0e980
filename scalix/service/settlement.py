"""Ends an exchange: charges it once, whatever happened to it."""

import asyncio
import logging

from scalix.domain.outcomes import Ending, charge_for
from scalix.domain.quota import Charge, Outcome, Settled
from scalix.service.exchanges import Exchange, Exchanges
from scalix.store.base import QuotaStore, StoreUnavailable

LEASE_MS = 60_000
RENEW_EVERY_S = 20.0
SWEEP_EVERY_S = 15.0
_TRIES_AFTER_FAULT = 40
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 5.0

log = logging.getLogger("scalix.settlement")


class Settlement:
    """Settles exchanges against the store, and keeps the leases of those still in flight."""

    def __init__(self, store: QuotaStore, exchanges: Exchanges) -> None:
        self._store = store
        self._exchanges = exchanges
        self._late: set[asyncio.Task[None]] = set()

    async def settle(self, exchange: Exchange, outcome: Outcome, *, delivered_tokens: int = 0) -> Settled | None:
        """Charge an ended exchange; a second call does nothing. `None` if the store did not take it (yet)."""
        if exchange.settled:
            return None
        exchange.settled = True
        self._exchanges.remove(exchange)
        receipt = exchange.admitted.receipt
        charge = charge_for(
            Ending(
                Outcome.CACHE_HIT if exchange.cache_hit and outcome is Outcome.SUCCESS else outcome,
                exchange.usage,
                receipt.prompt_tokens,
                delivered_tokens,
                exchange.cost_nano_usd,
                exchange.prices,
            )
        )
        try:
            # The client may go while this runs; what it has used is settled all the same.
            return await asyncio.shield(asyncio.ensure_future(self._store.settle(receipt, charge)))
        except StoreUnavailable as fault:
            self._settle_later(exchange, charge, fault)
            return None

    def _settle_later(self, exchange: Exchange, charge: Charge, fault: StoreUnavailable) -> None:
        log.warning("request %s is not settled yet: %s", exchange.request_id, fault)
        task = asyncio.create_task(self._retry(exchange, charge))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    async def _retry(self, exchange: Exchange, charge: Charge) -> None:
        pause_s = _FIRST_PAUSE_S
        for _ in range(_TRIES_AFTER_FAULT):
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2)
            try:
                await self._store.settle(exchange.admitted.receipt, charge)
                return
            except StoreUnavailable:
                continue
        log.error("request %s was not settled: its lease's sweep will charge its prompt", exchange.request_id)

    async def renew_leases(self) -> None:
        """Extend the lease of every exchange in flight."""
        receipts = [exchange.admitted.receipt for exchange in self._exchanges.all()]
        if receipts:
            await self._store.renew(receipts, LEASE_MS)

    async def sweep(self) -> int:
        """Charge the requests of workers that died; how many there were."""
        swept = await self._store.sweep()
        if swept:
            log.warning("swept %d requests whose worker died", swept)
        return swept

    async def finish_late(self, timeout_s: float) -> None:
        """Wait for settlements that are being tried again. For shutdown."""
        if self._late:
            await asyncio.wait(self._late, timeout=timeout_s)
