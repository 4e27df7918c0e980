"""Room for a request: asked of the store, or decided in its place while it is away."""

import logging

from scalix.domain.limits.quota import Admitted, Ask, Decision
from scalix.service.exchange.known_refusals import KnownRefusals
from scalix.service.exchange.outage import Outage, store_is_down
from scalix.service.identity.callers import Caller
from scalix.store.base import CallRejected, StoreUnavailable
from scalix.store.quota.redis_quota import QuotaStore

log = logging.getLogger("scalix.admission")


class Reservations:
    """Reserves room. `known` learns what the store refuses, and is asked before it."""

    def __init__(self, store: QuotaStore, outage: Outage, known: KnownRefusals) -> None:
        self._store = store
        self._outage = outage
        self.known = known

    async def decide(self, caller: Caller, ask: Ask) -> tuple[Decision, bool]:
        """The store's decision, or the one made in its place, and whether it is such a one. Raises `StoreIsDown`."""
        try:
            decision = await self._store.admit(ask)
            self.known.learn(ask, decision)
            if isinstance(decision, Admitted):
                self._outage.learn(caller, decision.receipt.admitted_ms, decision.tallies, decision.key_tallies)
        except CallRejected as fault:
            # The store is there and could not judge this one: to go on without it would let it through unjudged.
            log.error("request %s was not admitted: %s", ask.request_id, fault)
            raise store_is_down(fault) from None
        except StoreUnavailable as fault:
            return await self._outage.admit(caller, ask, fault), True
        except BaseException:
            # A cancellation, or a fault of ours: nobody knows whether there is a reservation.
            self._outage.release_later(ask)
            raise
        return decision, False

    def release_later(self, ask: Ask) -> None:
        """Give back what may have been reserved for an ask that came to nothing."""
        self._outage.release_later(ask)
