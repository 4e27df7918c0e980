"""The epoch of a Redis or Valkey server: a random text by which a store that was emptied is known."""

from scalix.store.base import StoreUnavailable
from scalix.store.connection.session import SessionStore
from scalix.store.keys import EPOCH_LIFETIME_MS

RESTORING = "restoring"
"""The epoch of a store into which a backup is being written: nobody may use it until that is done."""


class EpochStore(SessionStore):
    """Knows a store that was emptied. May raise `StoreUnavailable`."""

    async def epoch(self, new: str, *, write: bool) -> str:
        """The store's epoch, `new` if it had none. `write` makes the server write, to see whether it does."""
        epoch = str(await self._session.run("epoch", [self._keys.epoch()], [new, EPOCH_LIFETIME_MS, int(write)]))
        if epoch == RESTORING:
            fault = "a backup is being restored into it"
            raise StoreUnavailable(fault, maybe_acted=False, state="being restored", for_all=True)
        return epoch

    async def is_restoring(self) -> bool:
        """Whether a backup is being written into the store, or that was broken off."""
        return await self._session.get(self._keys.epoch()) == RESTORING
