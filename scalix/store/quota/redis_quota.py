"""Reservations and charges in Redis or Valkey: one Lua script and one round trip for each operation."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterable

from scalix.domain.identity.subjects import SHARDS
from scalix.domain.ledger.ledger import NO_DETAIL, last_words
from scalix.domain.ledger.retention import Retention
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Ask, Charge, Decision, Receipt, Settled
from scalix.store.base import StoreUnavailable
from scalix.store.connection.session import StoreSession
from scalix.store.keys import TOMBSTONE_LIFETIME_MS
from scalix.store.quota.quota_wire import admit_args, admitted_ms_and_key, days_of, decision_of, settle_args, settled_of
from scalix.store.quota.redis_limits import LimitTools
from scalix.store.records.pseudonyms import Pseudonyms

_SWEEP_BATCH = 200
_MOST_SWEEP_FAULTS = 10
_SHARDS_FURTHER = 61  # at each sweep; prime to the number of shards, so that each one has its turn to be the first


class QuotaStore(LimitTools):
    """Reservations and charges, atomic per call. Every method may raise `StoreUnavailable`.

    `retention` is asked at each settlement for how long what it writes is kept.
    """

    def __init__(
        self,
        session: StoreSession,
        *,
        retention: Callable[[], Retention] = Retention,
        pseudonyms: Pseudonyms | None = None,
    ) -> None:
        super().__init__(session, pseudonyms=pseudonyms)
        self._retention = retention
        self._first_shard = 0

    async def admit(self, ask: Ask) -> Decision:
        """Reserve room for one request, or consume nothing. Idempotent by request id while it is in flight."""
        keys = self._keys
        names = [
            keys.windows(ask.subject),
            keys.in_flight(ask.subject),
            keys.leases(ask.subject),
            keys.record(ask.subject),
            keys.tombstone(ask.subject, ask.request_id),
            keys.shadow(ask.subject),
            *await self._after_erasure(ask.subject),
            keys.balance(ask.subject),
            keys.people(ask.subject),
            *self._key_names(ask.subject, ask.key.key_id if ask.key else None),
        ]
        reply = await self._session.run("admit", names, admit_args(ask, self._session.now()))
        return decision_of(ask, reply)

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """Charge true use and give back the rest, once by request id."""
        names = [
            *await self._charge_keys(receipt.subject, receipt.request_id),
            *self._keys.books(receipt.subject, receipt.admitted_ms),
            *self._key_names(receipt.subject, receipt.key_id),
        ]
        args = settle_args(receipt, charge, self._session.now(), self._retention())
        return settled_of(await self._session.run("settle", names, args))

    async def release(self, request_id: str, subject: str, key_id: str | None = None, at_ms: int | None = None) -> bool:
        """Give a reservation back as if never made; `False` if there was none (one still on its way will fail).
        `key_id` is the virtual key that the request came with, `at_ms` (Unix time) when it came (`None`: just now)."""
        # Only names the days in which a sweep may have charged this request: our own clock is good enough.
        clock = self._session.clock
        now_ms = time.time_ns() // 1_000_000 if clock is None else clock()
        # Where the time is known, the day of it, and the one that it would be by another clock.
        days_ms = (now_ms, now_ms - DAY_MS) if at_ms is None else (at_ms - DAY_MS // 2, at_ms + DAY_MS // 2)
        names = [
            *await self._charge_keys(subject, request_id),
            *(name for day_ms in days_ms for name in self._keys.books(subject, day_ms)),
            *self._key_names(subject, key_id),
        ]
        args = [request_id, subject, self._session.now(), TOMBSTONE_LIFETIME_MS, *days_of(self._retention())[1:]]
        return bool(await self._session.run("release", names, args))

    async def renew(self, receipts: Iterable[Receipt], lease_ms: int) -> None:
        """Extend the leases of requests that are alive."""
        members: defaultdict[str, list[str]] = defaultdict(list)
        for receipt in receipts:
            members[self._keys.leases(receipt.subject)].append(f"{receipt.request_id} {receipt.subject}")
        now = self._session.now()
        await self._session.run_all("renew", (([index], [now, lease_ms, *some]) for index, some in members.items()))

    async def sweep(self, note: Callable[[str], object] = lambda request_id: None) -> int:
        """Charge the prompt estimate of every request whose lease has lapsed; how many. `note` is told their ids."""
        now_ms = await self._session.time_ms()
        await self._pseudonyms.agree()  # here, where nobody waits
        # Entries that can't be swept must not keep those of later shards from their turn.
        first, self._first_shard = self._first_shard, (self._first_shard + _SHARDS_FURTHER) % SHARDS
        indexes = self._keys.all_leases()
        batch = self._session.batch()
        for index in indexes[first:] + indexes[:first]:
            batch.zrangebyscore(index, "-inf", now_ms, start=0, num=_SWEEP_BATCH)
        lapsed = [member for members in await batch.execute() for member in members]
        swept, faults = 0, list[Exception]()
        for member in lapsed:
            try:
                if await self._sweep_one(member):
                    swept += 1
                    note(member.partition(" ")[0])
            except (StoreUnavailable, ValueError) as fault:
                # One entry that can't be read must not keep the others from their sweep.
                faults.append(fault)
                if len(faults) > _MOST_SWEEP_FAULTS:
                    break
        if faults and not swept:
            raise faults[0]
        return swept

    async def _sweep_one(self, member: str) -> int:
        request_id, _, subject = member.partition(" ")
        reservation = await self._session.hget(self._keys.in_flight(subject), request_id)
        admitted_ms, key_id = admitted_ms_and_key(reservation)
        names = [
            *await self._charge_keys(subject, request_id),
            *self._keys.books(subject, admitted_ms),
            *self._key_names(subject, key_id),
        ]
        args = [
            request_id,
            subject,
            self._session.now(),
            admitted_ms,
            key_id or "",
            *days_of(self._retention()),
            last_words(NO_DETAIL),
        ]
        return int(await self._session.run("sweep", names, args))

    async def _charge_keys(self, subject: str, request_id: str) -> list[str]:
        """The first seven keys of the scripts that charge, or undo a charge."""
        keys = self._keys
        return [
            keys.windows(subject),
            keys.in_flight(subject),
            keys.leases(subject),
            *await self._after_erasure(subject),
            keys.tombstone(subject, request_id),
            keys.balance(subject),
        ]

    def _key_names(self, subject: str, key_id: str | None) -> list[str]:
        if key_id is None:
            return []
        return [self._keys.key_windows(subject, key_id), self._keys.key_record(subject, key_id)]
