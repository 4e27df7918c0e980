"""In a Redis or Valkey server: which names served by wildcards the sums of a day have as they are."""

from scalix.store.connection.session import SessionStore
from scalix.store.keys import WILDCARD_NAMES_LIFETIME_MS


class ModelNameStore(SessionStore):
    """The names of a day that wildcards serve. May raise `StoreUnavailable`."""

    async def list_name(self, day: int, name: str, most: int) -> frozenset[str] | None:
        """Put `name` among the day's, or find it there: `None`. Where there are `most` others: those, for good."""
        args: list[str | int] = [name, most, WILDCARD_NAMES_LIFETIME_MS]
        found = await self._session.run("list_name", [self._keys.wildcard_names(day)], args)
        return frozenset(map(str, found)) or None
