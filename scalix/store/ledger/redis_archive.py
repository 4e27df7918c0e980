"""Days of events in the store, as the archive takes them out; and the lock that lets one process do so at a time."""

import secrets
from collections.abc import Sequence

from scalix.domain.identity.subjects import shard_of
from scalix.domain.ledger.books import Texts
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.connection.session import SessionStore, StoreSession
from scalix.store.ledger.redis_ledger_repair import names_of_shards

_BATCH = 500
LOCK_MS = 10 * 60_000


class RedisArchive(SessionStore):
    """Give it a client of its own: its calls may take long. Every method may raise `StoreUnavailable`."""

    def __init__(self, session: StoreSession) -> None:
        super().__init__(session)
        self._token = secrets.token_hex(8)

    async def lock(self) -> bool:
        """Whether the lock is ours now, for ten minutes from now on."""
        return bool(await self._session.run("archive_lock", [self._keys.archive_lock()], [self._token, LOCK_MS]))

    async def unlock(self) -> None:
        """Let the lock go, if it is ours."""
        await self._session.run("archive_lock", [self._keys.archive_lock()], [self._token, 0])

    async def days(self, before: int) -> dict[int, list[str]]:
        """The days before `before` that there are events of, with the subjects. Reads all names of keys."""
        found: dict[int, list[str]] = {}
        async for _, kind, rest in names_of_shards(self._session):
            subject, _, day = rest.rpartition(":")
            if kind == "e" and day.isdigit() and int(day) < before:
                found.setdefault(int(day), []).append(subject)
        return {day: sorted(set(found[day])) for day in sorted(found)}

    async def events(self, day: int, subjects: Sequence[str]) -> list[tuple[str, dict[str, str]]]:
        """The events of some subjects: id -> text."""
        names = [self._keys.events(subject, day * DAY_MS) for subject in subjects]
        return list(zip(subjects, await self._session.each("HGETALL", names), strict=True))

    async def trim(self, day: int, subject: str, texts: Texts) -> int:
        """Remove the events that are as in `texts`; how many those were."""
        pairs, at_ms = list(texts.items()), day * DAY_MS
        keys = self._keys
        names = [keys.events(subject, at_ms), keys.in_time(shard_of(subject), day), keys.events_in_time(subject, day)]
        removed = 0
        for start in range(0, len(pairs), _BATCH):
            args = [part for pair in pairs[start : start + _BATCH] for part in pair]
            removed += int(await self._session.run("ledger_trim", names, [subject, *args]))
        return removed

    async def note(self, day: int, place: str, text: str, lifetime_ms: int) -> None:
        """Keep that events of a day are in a file at `place`. Late ones may be at another place than the rest."""
        await self._session.run("archive_note", [self._keys.archived()], [f"{day} {place}", text, lifetime_ms])

    async def notes(self) -> set[tuple[int, str]]:
        """The days that were noted, each with a place."""
        found = await self._session.hkeys(self._keys.archived())
        parts = (field.partition(" ") for field in found)
        return {(int(day), place) for day, _, place in parts if place}
