"""The epoch of a Redis or Valkey server: a random text by which a store that was emptied is known."""

from scalix.store.connection.session import SessionStore
from scalix.store.keys import EPOCH_LIFETIME_MS


class EpochStore(SessionStore):
    """Knows a store that was emptied. May raise `StoreUnavailable`."""

    async def epoch(self, new: str, *, write: bool) -> str:
        """The store's epoch, `new` if it had none. `write` makes the server write, to see whether it does."""
        return str(await self._session.run("epoch", [self._keys.epoch()], [new, EPOCH_LIFETIME_MS, int(write)]))
