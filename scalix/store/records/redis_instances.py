"""Which gateways share this store, in a Redis or Valkey server."""

from scalix.store.connection.session import SessionStore


class InstanceStore(SessionStore):
    """What each gateway states of itself. May raise `StoreUnavailable`."""

    async def state(self, name: str, text: str, lease_ms: int) -> dict[str, str]:
        """State `text` under `name` for `lease_ms`; an empty one takes it back. What is stated now, by name."""
        found = await self._session.run("instances", [self._keys.instances()], [name, lease_ms, text])
        return {str(one): str(told) for one, told in zip(found[::2], found[1::2], strict=True)}

    async def stated(self) -> dict[str, str]:
        """What is stated now, by name, for who states nothing."""
        return await self.state("", "", 0)
