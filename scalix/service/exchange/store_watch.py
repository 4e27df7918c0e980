"""Watches the store: is it back, and is it still the one that it was?"""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from contextlib import suppress

from scalix.service.exchange.outage import apply_to
from scalix.store.base import StoreUnavailable
from scalix.store.connection.breaker import Breaker
from scalix.store.journal.journal import Journal
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.redis_epoch import EpochStore

CHECK_EVERY_S = 1.0
REPLAY_EVERY_S = 1.0
LAST_REPLAY_S = 2.0
TELL_EVERY_S = 10

log = logging.getLogger("scalix.store")

Act = Callable[[], Awaitable[object]]


async def _noop() -> None:
    pass


class StoreWatch:
    """Two jobs to run every second or so: `check` and `replay`.

    `quotas` and `epochs` are behind `breaker`. `when_away` is called at each failed check, `when_back` once.
    """

    def __init__(
        self,
        quotas: QuotaStore,
        epochs: EpochStore,
        breaker: Breaker,
        journal: Journal,
        *,
        when_away: Act = _noop,
        when_back: Act = _noop,
    ) -> None:
        self._quotas = quotas
        self._epochs = epochs
        self._breaker = breaker
        self._journal = journal
        self._when_away = when_away
        self._when_back = when_back
        self._epoch: str | None = None
        self.times_emptied = 0
        self.trouble = ""
        """Why the store that is there takes nothing, in words for the operator; empty if it does."""

    @property
    def was_there(self) -> bool:
        """Whether the store has ever answered."""
        return bool(self._epoch)

    @property
    def store_is_there(self) -> bool:
        """Whether calls to the store go through."""
        return self._breaker.is_closed

    @property
    def is_behind(self) -> bool:
        """Whether this process has still to tell the store something."""
        return not self._journal.is_empty

    async def check(self) -> None:
        """Try the store: after a failure with a write, before any caller has to. Notices that it was emptied."""
        was_away = not self._breaker.is_closed
        try:
            with self._breaker.probe():
                epoch = await self._epochs.epoch(secrets.token_hex(8), write=not self._breaker.is_well)
        except StoreUnavailable as fault:
            self._note_trouble("" if fault.state == "unreachable" else fault.state, fault)
            await self._when_away()
            return
        self._note_trouble("")
        self._compare(epoch)
        if was_away:
            await self._when_back()

    def _note_trouble(self, trouble: str, fault: StoreUnavailable | None = None) -> None:
        before, self.trouble = self.trouble, trouble
        if trouble and trouble != before:
            log.error("the store is there and takes nothing: %s (%s)", trouble, fault)
        elif before and not trouble and fault is None:
            log.warning("the store takes what it is told again")

    def _compare(self, epoch: str) -> None:
        known, self._epoch = self._epoch, epoch
        if known is None or known == epoch:
            return
        self.times_emptied += 1
        log.critical(
            "THE STORE WAS EMPTIED (FLUSHALL, FLUSHDB, or a server without the data of the one before): all counters, "
            "users' records and keys in it are gone. The gateway goes on: every user begins all windows anew, on the "
            "default tier. Restore the store's last backup, or write users and keys again"
        )

    async def until_restored(self) -> None:
        """Wait as long as a backup is being restored into the store: before that is done it is nobody's."""
        waited_s = 0
        with suppress(StoreUnavailable):
            while await self._epochs.is_restoring():
                if waited_s % TELL_EVERY_S == 0:
                    log.error(
                        "a backup is being restored into the store, or that broke off: nobody is served before it is "
                        "done; call scalix backup restore again if it does not run"
                    )
                await asyncio.sleep(1)
                waited_s += 1

    async def replay(self) -> int:
        """Tell the store what the journal holds for it, if it is there; how many entries. Raises `StoreUnavailable`."""
        if not self._breaker.is_closed:
            return 0
        replayed = await self._journal.replay(lambda entry: apply_to(self._quotas, entry))
        if replayed:
            log.warning("the journal is replayed: %d entries", replayed)
        return replayed

    async def close(self) -> None:
        """Replay what can be replayed at once; the rest stays on disk for the next start."""
        try:
            async with asyncio.timeout(LAST_REPLAY_S):
                await self.replay()
        except (StoreUnavailable, TimeoutError):
            log.warning("%d bytes of the journal stay for the next start", self._journal.pending_bytes)
        finally:
            await self._journal.close()
