"""Pseudonyms of subjects, which lead to nobody once their key is gone, and of the names in the audit log."""

import hmac
import re
import secrets
from collections.abc import Iterable, Sequence
from functools import lru_cache
from hashlib import sha256

from scalix.store.connection.session import SessionStore, StoreSession

PSEUDONYM = re.compile(r"p-[0-9a-f]{16}")
_KEY_BYTES = 32
_DIGITS = 32


class Pseudonyms(SessionStore):
    """The pseudonyms of one store, whose key is kept in it and made by whoever needs it first."""

    def __init__(self, session: StoreSession) -> None:
        super().__init__(session)
        self._key: bytes | None = None
        self._last: bytes | None = None

    async def key(self) -> bytes:
        """The key, read once in the life of a process. Raises `StoreUnavailable`."""
        return self._key or await self.agree()

    @property
    def known_key(self) -> bytes | None:
        """The key, if this process has read it at some time."""
        return self._key or self._last

    async def of(self, subject: str) -> str:
        """The subject's pseudonym. Raises `StoreUnavailable`."""
        return pseudonym(self._key or await self.key(), subject)

    async def agree(self) -> bytes:
        """Read the key anew. Into a store that was emptied meanwhile, the one that was known is written again; of
        several processes that do so, all go on with the first one's. Raises `StoreUnavailable`."""
        name = self._keys.pseudonym_key()
        kept = await self._session.get(name)
        if kept is None:
            own = self._last or secrets.token_bytes(_KEY_BYTES)
            await self._session.set(name, own.hex(), nx=True)
            kept = await self._session.get(name) or own.hex()
        self._key = self._last = bytes.fromhex(kept)
        return self._key

    def forget(self) -> None:
        """Agree again at the next use: the store was emptied."""
        self._key = None


@lru_cache(maxsize=8_192)
def pseudonym(key: bytes, subject: str) -> str:
    """`~` and 32 hex digits, by HMAC-SHA-256."""
    return "~" + hmac.digest(key, subject.encode(), sha256).hex()[:_DIGITS]


class SubjectStore(SessionStore):
    """A store of what belongs to subjects, some of which have been erased."""

    def __init__(self, session: StoreSession, pseudonyms: Pseudonyms | None = None) -> None:
        super().__init__(session)
        self._pseudonyms = pseudonyms or Pseudonyms(session)

    async def _after_erasure(self, subject: str) -> tuple[str, str]:
        """The keys that say that the subject was erased, and hold the windows from before."""
        pseudonym = await self._pseudonyms.of(subject)
        return self._keys.erased(subject, pseudonym), self._keys.pseudonyms_windows(subject, pseudonym)


class PseudonymStore(SubjectStore):
    """Pseudonyms of a subject's names. Every method may raise `StoreUnavailable`.

    The way from a name to its pseudonym, and back, is in the store and nowhere else. Once it is erased, nobody can tell
    whom an entry of the audit log is about.
    """

    async def pseudonyms(
        self, subject: str, names: Sequence[str], lifetime_ms: int, at_ms: int | None = None
    ) -> dict[str, str]:
        """The pseudonym of each name, known for `lifetime_ms` from now on. Of what happened at `at_ms` before the
        subject was erased: pseudonyms that lead nowhere."""
        offered = {name: f"p-{secrets.token_hex(8)}" for name in names}
        args: list[str | int] = [lifetime_ms, "" if at_ms is None else at_ms]
        args += [word for pair in offered.items() for word in pair]
        hash_name = self._keys.names(subject)
        erased, _ = await self._after_erasure(subject)
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
