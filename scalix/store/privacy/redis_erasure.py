"""Everything that is kept of one user, read for an export and removed for good, in Redis or Valkey."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import orjson

from scalix.domain.identity.subjects import shard_of, user_subject
from scalix.domain.ledger.ledger import EVENT_FIELDS
from scalix.domain.limits.calendar import DAY_MS, window_index
from scalix.domain.limits.limits import Window
from scalix.store.keys import ERASED_LIFETIME_MS
from scalix.store.records.pseudonyms import SubjectStore
from scalix.store.records.redis_sign_ins import SignInStore

T = TypeVar("T")
# The longest that books may be kept: whatever was configured when an entry was written, it is found.
MOST_DAYS = 3_660
_TOGETHER = 400
_PLACES_TOGETHER = 2_000
# What was settled this long ago may still be told again, by a journal.
_TOLD_AGAIN_DAYS = 3
# What the script counts, in its order.
_KINDS_OF_STATE = ("records", "requests_in_flight", "windows", "balances", "credits")
_KEY_WORD = [one.name for one in EVENT_FIELDS].index("key_id")
# In random digits a short name is found by chance.
_OUR_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Erased:
    """How many there were of each kind."""

    records: int = 0
    keys: int = 0
    requests_in_flight: int = 0
    windows: int = 0
    balances: int = 0
    credits: int = 0
    ledger_entries: int = 0
    sign_ins: int = 0


class ErasureStore(SubjectStore):
    """Removes users. Every method may raise `StoreUnavailable`, and may then be called again."""

    async def erase(self, user_id: str) -> Erased:
        """Remove all that is kept of a user, but for the names in the audit log."""
        subject = user_subject(user_id)
        await self._pseudonyms.agree()  # an erasure is rare, and must not go by the key of a store that was emptied
        # Keys first, so that nobody comes in by them; the books last, as from the mark on nothing is added to them.
        keys = await self._erase_keys(subject, user_id)
        sign_ins = await SignInStore(self._session).end_all(subject)
        state = await self._erase_state(subject, user_id)
        await self._write_tombstones(subject)
        await self._leave_indexes(subject)
        entries = 0
        for names in _chunks(await self._book_names(subject)):
            entries += await self._session.run("erase_books", names, [subject])
        return Erased(keys=keys, ledger_entries=entries, sign_ins=sign_ins, **state)

    async def keep_billing(self, name: str, days: dict[int, int], keep_days: int) -> None:
        """Keep charges in nano-dollars by day under `name`, in place of what was kept under it."""
        key = self._keys.kept_billing(name)
        await self._session.delete(key)
        if days:
            await self._session.hset(key, mapping={str(day): nano_usd for day, nano_usd in days.items()})
            await self._session.pexpire(key, keep_days * DAY_MS)

    async def _erase_keys(self, subject: str, user_id: str) -> int:
        ids = await self._session.smembers(self._keys.keys_of(subject))
        for key_id in ids:
            # What leads to a record goes before it: whoever dies in between can begin again.
            place = f"{key_id} {user_id}"
            names = [self._keys.key_record(subject, key_id), self._keys.key_windows(subject, key_id)]
            text = await self._session.hget(names[0], "record")
            await self._forget_pointers(text, place)
            await self._session.zrem(self._keys.key_list(), place)
            await self._session.run("delete_key", [*names, self._keys.keys_of(subject)], [key_id])
        async for place in self._places_of(user_id):
            await self._session.zrem(self._keys.key_list(), place)
        return len(ids)

    async def _forget_pointers(self, text: str | None, place: str) -> None:
        record = orjson.loads(text) if text else {}
        names = [self._keys.secret(digest) for digest in (record.get("digest"), *record.get("former", ())) if digest]
        if record.get("alias"):
            names.append(self._keys.alias(record["alias"]))
        for name in names:
            # An alias may have been given to somebody else's key by now.
            if await self._session.get(name) == place:
                await self._session.delete(name)

    async def _places_of(self, user_id: str) -> AsyncIterator[str]:
        """What deletions that broke off have left of the user in the list of all keys."""
        async for pairs in self._session.pages(self._session.zscan, self._keys.key_list(), 1_000):
            for place, _ in pairs:
                if place.partition(" ")[2] == user_id:
                    yield place

    async def _erase_state(self, subject: str, user_id: str) -> dict[str, int]:
        keys = self._keys
        names = [
            keys.windows(subject),
            keys.in_flight(subject),
            keys.leases(subject),
            keys.record(subject),
            keys.user_names(subject),
            keys.merged(subject),
            keys.balance(subject),
            keys.credits(subject),
            *await self._after_erasure(subject),
            keys.people(subject),
            keys.adjustments(subject),
        ]
        args = [subject, user_id, self._session.now(), ERASED_LIFETIME_MS]
        counts = await self._session.run("erase", names, args)
        return dict(zip(_KINDS_OF_STATE, map(int, counts), strict=True))

    async def _write_tombstones(self, subject: str) -> None:
        """Keep the last days' events under their requests' ids alone: a journal may tell them again, in vain."""
        now_ms, name_of_user = await self._session.time_ms(), subject.partition(":")[2]
        for day in range(_TOLD_AGAIN_DAYS):
            name = self._keys.events(subject, now_ms - day * DAY_MS)
            async for events in self._session.pages(self._session.hscan, name, _TOGETHER):
                batch = self._session.batch()
                for request_id, text in events.items():
                    if name_of_user in request_id and not _OUR_ID.fullmatch(request_id):
                        continue  # an id of somebody else's making, which no journal holds
                    key = self._keys.tombstone(subject, request_id)
                    batch.set(key, _without_key(text), px=_TOLD_AGAIN_DAYS * DAY_MS, nx=True)
                if len(batch):
                    await batch.execute()

    async def _leave_indexes(self, subject: str) -> None:
        """Take the events out of what lists them by time, those too that a gateway of before has erased alone."""
        keys, shard, today = self._keys, shard_of(subject), await self._session.time_ms() // DAY_MS
        for days in _chunks(range(today + 1, today - MOST_DAYS, -1)):
            await self._session.unlink(*(keys.events_in_time(subject, day) for day in days))
            events = await self._session.each("HKEYS", [keys.events(subject, day * DAY_MS) for day in days])
            for day, ids in zip(days, events, strict=True):
                # By their whole names: an id may hold what parts it from the subject.
                for some in _chunks(ids):
                    await self._session.zrem(keys.in_time(shard, day), *(f"{one} {subject}" for one in some))
            there = await self._session.each("EXISTS", [keys.in_time(shard, day) for day in days])
            for name in (keys.in_time(shard, day) for day, is_there in zip(days, there, strict=True) if is_there):
                async for places in self._session.pages(self._session.zscan, name, _PLACES_TOGETHER):
                    own = [place for place, _ in places if place.partition(" ")[2] == subject]
                    if own:
                        await self._session.zrem(name, *own)

    async def _book_names(self, subject: str) -> list[str]:
        now_ms = await self._session.time_ms()
        shard, month = shard_of(subject), window_index(Window.MONTH, now_ms)
        names = [self._keys.summaries(subject, month + 1 - back) for back in range(MOST_DAYS // 30 + 2)]
        for back in range(-1, MOST_DAYS):
            at_ms = now_ms - back * DAY_MS
            day = window_index(Window.DAY, at_ms)
            names += [self._keys.events(subject, at_ms)]
            names += [self._keys.ranking(shard, day, by) for by in ("tokens", "cost")]
        return names


def _without_key(text: str) -> str:
    words = text.split(" ")
    if len(words) > _KEY_WORD:
        words[_KEY_WORD] = "-"
    return " ".join(words)


def _chunks(names: Sequence[T]) -> Iterable[Sequence[T]]:
    return (names[first : first + _TOGETHER] for first in range(0, len(names), _TOGETHER))
