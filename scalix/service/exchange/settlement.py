"""Ends an exchange: charges it once, whatever happened to it."""

import asyncio
import logging
import time
from contextlib import suppress
from dataclasses import replace

from scalix.domain.faults import shown_fault
from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.outcomes import UNPRICED, charge_for
from scalix.domain.limits.quota import Charge, Outcome, Settled
from scalix.domain.privacy import PrivacySettings, permitted
from scalix.service.deployments.sums import SumsOfDeployments
from scalix.service.exchange.admission import Admission
from scalix.service.exchange.endings import Ending, billable_of
from scalix.service.exchange.exchanges import Exchange, Exchanges
from scalix.service.exchange.outage import Outage
from scalix.service.metrics.meters import Meters
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.connection.deadline import granted_store_time
from scalix.store.quota.redis_quota import QuotaStore

LEASE_MS = 60_000
RENEW_EVERY_S = 20.0
SWEEP_EVERY_S = 15.0
MOST_SWEPT_TOLD = 20  # of one sweep by their ids; the log has the number of all

log = logging.getLogger("scalix.settlement")


class Settlement:
    """Settles exchanges against the store, and keeps the leases of those still in flight. `policy` says what may be
    kept of users who have said nothing; `deployments` counts what they do, `meters` what becomes of requests."""

    def __init__(
        self,
        store: QuotaStore,
        exchanges: Exchanges,
        outage: Outage,
        *,
        policy: PolicySource | None = None,
        deployments: SumsOfDeployments | None = None,
        meters: Meters | None = None,
    ) -> None:
        self._meters = meters
        self._deployments = deployments
        self._policy = policy
        self._store = store
        self._outage = outage
        self._exchanges = exchanges
        self._running: set[asyncio.Task[Settled]] = set()
        self._one_ended = asyncio.Event()
        self.is_closing = False  # the process is about to end: nothing is worth a wait any more

    async def settle(self, exchange: Exchange, ending: Ending) -> Settled | None:
        """Charge an ended exchange, in the store or for later in the journal. A second call does nothing: `None`."""
        if exchange.ending is not None:
            return None
        exchange.ending = ending
        self._exchanges.remove(exchange)
        admission = exchange.admission
        try:
            charge = charge_for(billable_of(admission, ending, time.monotonic()))
            if self._deployments is not None:
                self._deployments.note(charge, admission.receipt.admitted_ms, admission.offer.models)
            kept = self._permitted(admission, charge)
        except Exception as fault:
            log.error("request %s is charged as reserved: %s", admission.request_id, shown_fault(fault))
            kept = charge = _charge_as_reserved(admission, ending.outcome, ending.use.delivered_tokens)
        exchange.charge = kept
        task = in_background(self._charge(admission, kept, charge), store_time=granted_store_time())
        self._running.add(task)
        task.add_done_callback(self._end)
        # The client may go while this runs; what it has used is settled all the same.
        return await asyncio.shield(task)

    async def free_slot(self, exchange: Exchange) -> None:
        """The client has gone, and its provider is still waited for: its place among the requests at once is free, and
        what it has reserved counts as used until it is settled."""
        admission, room = exchange.admission, exchange.admission.reservation
        key = admission.caller.key
        has_slot = room.ask.limits.concurrent is not None or (key is not None and key.scope.concurrent is not None)
        if exchange.ending is not None or room.local or not has_slot:
            return
        receipt = admission.receipt
        tokens = receipt.output_cap_tokens * admission.choices
        charge = replace(_charge_as_reserved(admission, Outcome.CLIENT_LEFT, tokens), outcome=Outcome.SWEPT)
        with suppress(Exception):  # then it is free when it is settled
            await self._store.settle(receipt, charge)

    def _permitted(self, admission: Admission, charge: Charge) -> Charge:
        """The charge with what may be kept of this user's requests."""
        record = admission.caller.record
        settings = self._policy.current.privacy if self._policy else PrivacySettings()
        detail = permitted(charge.detail, record.consent if record else {}, settings)
        return charge if detail is charge.detail else replace(charge, detail=detail)

    def _end(self, task: asyncio.Task[Settled]) -> None:
        self._running.discard(task)
        self._one_ended.set()

    async def _charge(self, admission: Admission, charge: Charge, whole: Charge) -> Settled:
        """Have it charged, and count it once it is. `whole` has what may not be kept of this user."""
        try:
            settled = await self._told(admission, charge)
        except asyncio.CancelledError:
            self._count(admission, whole)
            raise
        if settled.status != "duplicate":
            self._count(admission, whole)
        return settled

    def _count(self, admission: Admission, charge: Charge) -> None:
        if self._meters is not None:
            receipt, is_limited = admission.receipt, bool(admission.reservation.ask.limits.windows)
            reserved = receipt.prompt_tokens + receipt.output_cap_tokens * admission.choices
            self._meters.settled(charge, reserved if is_limited else 0)

    def _journaled(self) -> None:
        if self._meters is not None:
            self._meters.count("settlements_journaled_total")

    async def _told(self, admission: Admission, charge: Charge) -> Settled:
        receipt = admission.receipt
        try:
            settled = await self._store.settle(receipt, charge)
        except StoreUnavailable as fault:
            log.debug("request %s goes to the journal: %s", admission.request_id, fault)
            self._journaled()
            return await self._outage.settle(receipt, charge)
        except asyncio.CancelledError:  # the process is about to end
            self._journaled()
            self._outage.settle_later(receipt, charge)
            raise
        except Exception as fault:
            # Whatever it is: what was used is told again from the journal, and set aside there if it never is taken.
            log.error("request %s could not be settled, and is journaled: %s", admission.request_id, shown_fault(fault))
            self._journaled()
            return await self._outage.settle(receipt, charge)
        if admission.reservation.local:
            self._outage.ended(receipt)
        self._outage.learn(admission.caller, receipt.admitted_ms, settled.tallies, settled.key_tallies)
        return settled

    async def renew_leases(self) -> None:
        """Extend the lease of every exchange in flight."""
        admissions = [exchange.admission for exchange in self._exchanges.values()]
        receipts = [admission.receipt for admission in admissions if not admission.reservation.local]
        if receipts:
            await self._store.renew(receipts, LEASE_MS)

    async def sweep(self) -> int:
        """Charge the requests of workers that died; how many there were."""
        ids: list[str] = []
        swept = await self._store.sweep(ids.append)
        if swept:
            if self._meters is not None:
                self._meters.count("requests_swept_total", swept)
            log.warning("swept %d requests whose worker died", swept)
        for request_id in ids[:MOST_SWEPT_TOLD]:
            fields = {"id": request_id, "outcome": str(Outcome.SWEPT)}
            log.warning("a request's worker died before it had ended", extra={"fields": fields})
        return swept

    async def finish_late(self, timeout_s: float) -> None:
        """Wait until every exchange in flight is settled, at most `timeout_s` seconds. For shutdown."""
        self.is_closing = True
        try:
            async with asyncio.timeout(timeout_s):
                # A server that has cancelled its requests does not wait for them to unwind.
                while self._running or len(self._exchanges):
                    self._one_ended.clear()
                    await self._one_ended.wait()
        except TimeoutError:
            log.error("%d requests are not settled at shutdown", len(self._running) + len(self._exchanges))


def _charge_as_reserved(admission: Admission, outcome: Outcome, delivered_tokens: int) -> Charge:
    """What stands in for a charge that can't be worked out: by our own counts, at the prices of the reservation."""
    if outcome in (Outcome.PROVIDER_FAILED, Outcome.PROVIDER_REFUSED, Outcome.CACHE_HIT):
        return Charge(outcome, int(outcome is not Outcome.PROVIDER_FAILED), 0, 0)
    prompt_tokens, tier, ask = admission.receipt.prompt_tokens, admission.caller.tier, admission.reservation.ask
    cost_nano_usd = ask.prices.cost_nano_usd(prompt_tokens, delivered_tokens)
    detail = Detail(
        tier=tier.name if tier else "",
        model=admission.model,
        among_others=ask.among_others,
        served=admission.model,
        prompt_tokens=prompt_tokens,
        completion_tokens=delivered_tokens,
        cost_nano_usd=cost_nano_usd,
        charge_nano_usd=cost_nano_usd if tier is None or tier.markup_ppm else 0,
        price_version=UNPRICED,
        **ask.later,
    )
    return Charge(outcome, 1, prompt_tokens + delivered_tokens, cost_nano_usd, estimated=True, detail=detail)
