"""What goes on while the store is away: local admission where the tier wants it, and the journal."""

import asyncio

from scalix.domain.errors import StoreIsDown
from scalix.domain.ledger.outcomes import swept_charge
from scalix.domain.limits.quota import (
    Admitted,
    Ask,
    Charge,
    CountFirst,
    Decision,
    KeyTallies,
    Receipt,
    Settled,
    Tallies,
)
from scalix.service.exchange.tokens_left import TokensLeft
from scalix.service.identity.callers import Caller
from scalix.store.base import StoreUnavailable
from scalix.store.journal.journal import Journal
from scalix.store.journal.journal_entries import Entry, Release, SettlementEntry
from scalix.store.quota.local import LocalCounters
from scalix.store.quota.redis_quota import QuotaStore

RETRY_WHEN_STORE_IS_DOWN_S = 5


def store_is_down(why: StoreUnavailable | str) -> StoreIsDown:
    """The refusal of callers whose tier does not go on without the store. `why`, for the log: of what it has failed."""
    message = "Usage can't be checked right now, so this request was not let through. Try again shortly."
    return StoreIsDown(message, retry_after_s=RETRY_WHEN_STORE_IS_DOWN_S, reason=str(why))


class Outage:
    """Stands in for the store while it is away. `journal` gets what the store has to be told later, `left` what it says
    of callers while it is there."""

    def __init__(self, local: LocalCounters, journal: Journal, left: TokensLeft | None = None) -> None:
        self._local = local
        self._journal = journal
        self._left = left

    def learn(self, caller: Caller, at_ms: int, tallies: Tallies, key_tallies: KeyTallies) -> None:
        """Note what the store says of a caller and of the key that was shown, to go on from there when it is away."""
        if self._left is not None:
            self._left.learn(str(caller.subject), at_ms, tallies)
        if _goes_on(caller):
            if caller.key is not None:
                self._local.learn_key(caller.key.key_id, at_ms, key_tallies)
            self._local.learn(str(caller.subject), at_ms, tallies if caller.limits.windows else {})

    async def admit(self, caller: Caller, ask: Ask, fault: StoreUnavailable) -> Decision:
        """Decide in the store's place after it failed with `fault`. Raises `StoreIsDown`."""
        decision: Decision | None = None
        if _goes_on(caller) and not _has_budget(caller) and self._journal.has_room:
            decision = await self._local.admit(ask)
        if isinstance(decision, Admitted):
            # What the store may have reserved is given back by the settlement; if this process dies, before its charge.
            self._journal.admissions.begin(self._release(ask), SettlementEntry(decision.receipt, swept_charge(ask)))
        elif fault.maybe_acted and not isinstance(decision, CountFirst):  # then it is asked again, by the same id
            self.release_later(ask)
        if decision is None:
            raise store_is_down(fault)
        return decision

    def release_later(self, ask: Ask) -> None:
        """The store may have reserved for this ask, or may still do so, and nobody has the receipt."""
        self._journal.add(self._release(ask))
        self._journal.admissions.end(ask.request_id)

    def _release(self, ask: Ask) -> Release:
        return Release(ask.request_id, ask.subject, ask.key.key_id if ask.key else None, self._local.now_ms())

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """Charge in the store's place: in the counters of this process, and for later in the journal."""
        written = self.settle_later(receipt, charge)
        try:
            return await self._local.settle(receipt, charge)
        finally:
            await self._journal.written(written)

    def settle_later(self, receipt: Receipt, charge: Charge) -> asyncio.Future[None]:
        """Charge by the journal alone. The future is done when it is on disk."""
        written = self._journal.add(SettlementEntry(receipt, charge))
        self.ended(receipt)
        return written

    def ended(self, receipt: Receipt) -> None:
        """What was admitted here is settled, there or in the journal."""
        self._journal.admissions.end(receipt.request_id)


def _has_budget(caller: Caller) -> bool:
    """Whether a hard amount of money is at stake, which counters of one process can't hold."""
    if caller.tier is not None and caller.tier.prepaid:
        return True
    return caller.key is not None and caller.key.max_budget_nano_usd is not None


def _goes_on(caller: Caller) -> bool:
    return caller.tier is None or caller.tier.on_store_failure == "allow"


async def apply_to(store: QuotaStore, entry: Entry) -> None:
    """Tell the store what a journal's entry says; a second time changes nothing. Raises `StoreUnavailable`."""
    if isinstance(entry, SettlementEntry):
        await store.settle(entry.receipt, entry.charge)
    else:
        await store.release(entry.request_id, entry.subject, entry.key_id, entry.at_ms)
