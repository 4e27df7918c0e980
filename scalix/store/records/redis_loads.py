"""What all workers have to do, in a Redis or Valkey server."""

from collections.abc import Mapping

from scalix.store.connection.session import SessionStore


class LoadStore(SessionStore):
    """The figures of all workers. May raise `StoreUnavailable`."""

    async def publish(self, worker: str, figures: Mapping[str, int], lease_ms: int) -> dict[str, int]:
        """State the figures of `worker`, which hold for `lease_ms`. The sums of the other workers' figures, by name."""
        args: list[str | int] = [worker, lease_ms]
        for name, number in figures.items():
            args += [name, number]
        found = await self._session.run("loads", [self._keys.loads()], args)
        return {str(name): int(number) for name, number in zip(found[::2], found[1::2], strict=True)}
