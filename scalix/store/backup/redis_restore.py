"""Writes what a backup holds into an empty store."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice

from scalix.store.backup.redis_snapshot import PASSING, Line
from scalix.store.connection.session import SessionStore, StoreSession
from scalix.store.keys import EPOCH_LIFETIME_MS
from scalix.store.records.redis_epoch import RESTORING

# Gateways look at the epoch every second.
_ANSWERS_WITHIN_S = 3.0
_TOGETHER = 64
_WORDS = 10_000
# What a gateway writes into a store that is empty.
_OF_NOBODY = PASSING | {"pseudonym-key", "retention-run", "erasures"}


class RestoreStore(SessionStore):
    """Everything may raise `StoreUnavailable`. Between `begin` and `finish` no gateway takes the store for one."""

    def __init__(self, session: StoreSession, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        super().__init__(session)
        self._sleep = sleep

    async def is_used(self) -> bool:
        """Whether a gateway answers that it is there, within some seconds."""
        name = self._keys.epoch()
        epoch = await self._session.get(name) or ""
        if epoch == RESTORING:
            return False
        question = f"asked {epoch.removeprefix('asked ')}"
        await self._session.set(name, question, px=EPOCH_LIFETIME_MS)
        await self._sleep(_ANSWERS_WITHIN_S)
        if await self._session.get(name) != question:
            return True
        await self._session.set(name, epoch.removeprefix("asked "), px=EPOCH_LIFETIME_MS) if epoch else (
            await self._session.delete(name)
        )
        return False

    async def is_empty(self) -> bool:
        """Whether nothing is there that anybody could miss, or only what a restore that broke off has left."""
        if await self._session.get(self._keys.epoch()) == RESTORING:
            return True
        async for full in self._session.names_like("*"):
            if full[len(self._keys.prefix) :] not in _OF_NOBODY:
                return False
        return True

    async def begin(self) -> None:
        """Remove everything, the mark first of all that a restore has begun."""
        await self._session.set(self._keys.epoch(), RESTORING, px=EPOCH_LIFETIME_MS)
        names: list[str] = []
        async for full in self._session.names_like("*"):
            if full in (self._keys.epoch(), self._keys.backup_lock()):
                continue
            names.append(full)
            if len(names) >= _TOGETHER:
                await self._session.each("UNLINK", names)
                names = []
        await self._session.each("UNLINK", names)

    async def write(self, lines: Iterable[Line], now_ms: int, between: Callable[[], object]) -> None:
        """Write lines of keys in their order, but what has ended by now. `between` is called again and again."""
        batch: dict[str, tuple[list[str], list[str | int]]] = {}
        lines = iter(lines)
        while some := await asyncio.to_thread(lambda: list(islice(lines, _TOGETHER))):
            for _, name, kind, ends_ms, anew, values in some:
                if 0 < ends_ms <= now_ms:
                    kind, values = "none", []
                for first in range(0, len(values) or 1, _WORDS):
                    # Those of one key follow each other; commands that are sent together have no order.
                    if name in batch:
                        await self._send(batch)
                    fresh = int(anew and not first)
                    full = f"{self._keys.prefix}{name}"
                    batch[name] = [full], [kind, ends_ms, fresh, *_cut(kind, values, first)]
            await self._send(batch)
            between()

    async def finish(self) -> None:
        """The store is one again: of an epoch of its own, by which gateways know that it is another one."""
        await self._session.set(self._keys.epoch(), secrets.token_hex(8), px=EPOCH_LIFETIME_MS)

    async def _send(self, batch: dict[str, tuple[list[str], list[str | int]]]) -> None:
        if batch:
            await self._session.run_all("write_key", list(batch.values()))
            batch.clear()


def _cut(kind: str, values: list[str], first: int) -> list[str]:
    # Entries of streams are of any length, and come in pages that are small enough.
    if kind == "stream":
        return values if not first else []
    return values[first : first + _WORDS]
