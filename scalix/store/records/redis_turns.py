"""Turns of users who act on what is their own, in Redis or Valkey."""

from scalix.domain.limits.calendar import HOUR_MS
from scalix.store.records.pseudonyms import SubjectStore

TURN_MS = 60_000
"""How long a turn is taken if its process dies."""


class TurnStore(SubjectStore):
    """One act of a user at a time, and so much within an hour. Kept under pseudonyms, so that an erasure is counted
    too. Every method may raise `StoreUnavailable`."""

    async def take(self, subject: str, weight: int, most: int) -> int:
        """Take the turn for an act that counts as `weight`, of which `most` are free within an hour: 0 if it is given,
        else in how many ms there is room, or -1 while another act has the turn."""
        args = [self._session.now(), weight, most, HOUR_MS, TURN_MS]
        return int(await self._session.run("take_turn", [await self._name(subject)], args))

    async def end(self, subject: str) -> None:
        """Let the next act have the turn."""
        await self._session.hdel(await self._name(subject), "taken")

    async def _name(self, subject: str) -> str:
        return self._keys.turns(subject, await self._pseudonyms.of(subject))
