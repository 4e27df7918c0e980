"""The pseudonyms by which the audit log names users, and the way back from them, in Redis or Valkey.

Both ways are in the store and nowhere else: with them erased, nobody can tell whom an entry is about.
"""

import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence

from scalix.store.connection.session import SessionStore, StoreSession

PSEUDONYM = re.compile(r"p-[0-9a-f]{16}")


class PseudonymStore(SessionStore):
    """Pseudonyms of a subject's names. Every method may raise `StoreUnavailable`.

    `erased_key` gives the name of the key that marks a subject as erased.
    """

    def __init__(self, session: StoreSession, erased_key: Callable[[str], Awaitable[str]]) -> None:
        super().__init__(session)
        self._erased_key = erased_key

    async def pseudonyms(
        self, subject: str, names: Sequence[str], lifetime_ms: int, at_ms: int | None = None
    ) -> dict[str, str]:
        """The pseudonym of each name, known for `lifetime_ms` from now on. Of what happened at `at_ms` before the
        subject was erased: pseudonyms that lead nowhere."""
        offered = {name: new_pseudonym() for name in names}
        args: list[str | int] = [lifetime_ms, "" if at_ms is None else at_ms]
        args += [word for pair in offered.items() for word in pair]
        hash_name = self._keys.names(subject)
        erased = await self._erased_key(subject)
        found = await self._session.run("names", [hash_name, erased], args)
        if not found:
            return offered
        given = dict(zip(names, found, strict=True))
        batch = self._session.batch()
        for name, pseudonym in given.items():
            batch.set(self._keys.name_behind(pseudonym), name, px=lifetime_ms)
        await batch.execute()
        # Whoever erases the subject meanwhile may not have seen what was written just now.
        if await self._session.hmget(hash_name, list(given)) != list(given.values()):
            await self._delete(given.values())
        return given

    async def known(self, subject: str) -> dict[str, str]:
        """The pseudonym of each name that has one."""
        return dict(await self._session.hgetall(self._keys.names(subject)))

    async def behind(self, pseudonyms: Iterable[str]) -> dict[str, str]:
        """The names behind those pseudonyms that are still known."""
        wanted = list(dict.fromkeys(pseudonyms))
        found = await self._session.each("GET", map(self._keys.name_behind, wanted))
        return {pseudonym: name for pseudonym, name in zip(wanted, found, strict=True) if name is not None}

    async def forget(self, subject: str) -> int:
        """Forget all pseudonyms of a subject, both ways; how many there were."""
        while True:
            known = await self.known(subject)
            await self._delete(known.values())
            if await self._session.run("forget_names", [self._keys.names(subject)], [len(known)]):
                return len(known)

    async def _delete(self, pseudonyms: Iterable[str]) -> None:
        await self._session.each("DEL", map(self._keys.name_behind, pseudonyms))


def new_pseudonym() -> str:
    """A pseudonym that stands for nothing yet."""
    return f"p-{secrets.token_hex(8)}"
