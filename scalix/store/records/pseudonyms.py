"""Names for subjects that lead to nobody once the key that made them is gone."""

import hmac
import secrets
from functools import lru_cache
from hashlib import sha256

from scalix.store.connection.session import SessionStore, StoreSession

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
