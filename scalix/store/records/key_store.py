"""What the services need of a store of virtual keys. Implementations: `memory_keys.py` and `redis_keys.py`."""

from typing import Protocol

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.quota import KeyTallies
from scalix.store.base import StoreError


class AliasTaken(StoreError):
    """Another key has this alias."""


class KeyStore(Protocol):
    """Virtual keys' records and use. Every method may raise `StoreUnavailable`."""

    async def find(self, digest: str) -> KeyRecord | None:
        """The key that has, or had, the secret with this SHA-256; whether it still works the record says."""
        ...

    async def find_alias(self, alias: str) -> KeyRecord | None:
        """The key with this alias."""
        ...

    async def get(self, key_id: str, user_id: str) -> KeyRecord | None:
        """A key of which it is known whose it is. One round trip."""
        ...

    async def versions(self, key_id: str, user_id: str) -> tuple[str, str]:
        """The versions of a key's and its user's record (`"0"`: there is none), which say whether either has changed.
        One round trip, and much less to read than `get`."""
        ...

    async def create(self, record: KeyRecord) -> KeyRecord:
        """Write a new record and return it with its version. Raises `AliasTaken`."""
        ...

    async def update(self, before: KeyRecord, record: KeyRecord) -> KeyRecord:
        """Write the record with a new version, if it still has the version of `before`, as which it was read. Secrets
        that are among neither `digest` nor `former` any more are forgotten. Raises `RecordChanged`, `AliasTaken`."""
        ...

    async def delete(self, record: KeyRecord) -> bool:
        """Remove a key and its counters; whether it was there."""
        ...

    async def page(self, first: int, most: int, user_id: str | None = None) -> tuple[int, list[KeyRecord]]:
        """How many keys there are, of one user or of all, and up to `most` of them after the `first` ones, the newest
        first."""
        ...

    async def tallies(self, record: KeyRecord) -> tuple[int, KeyTallies]:
        """The store's time (ms) and the key's use in the windows of that moment."""
        ...

    async def set_spend(self, record: KeyRecord, nano_usd: int) -> bool:
        """Set what the key has spent, in its budget period of now and in its life; whether there is such a key."""
        ...
