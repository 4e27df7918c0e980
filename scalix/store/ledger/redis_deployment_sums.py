"""What deployments have done, day by day, in a Redis or Valkey server."""

from collections.abc import Iterator, Mapping

from scalix.domain.ledger.deployment_sums import DeploymentSums, sums_by_name
from scalix.store.connection.session import SessionStore
from scalix.store.keys import FIGURES_BATCH_LIFETIME_MS


class DeploymentSumStore(SessionStore):
    """The figures of all workers. Every method may raise `StoreUnavailable`. Days are indexes since 1970-01-01 UTC."""

    async def add(self, day: int, batch: tuple[str, int], figures: Mapping[str, int], lifetime_ms: int) -> None:
        """Add a batch of figures, of which `batch` names the worker and the number there. A second call does
        nothing."""
        worker, number = batch
        args: list[str | int] = [number, lifetime_ms, FIGURES_BATCH_LIFETIME_MS]
        for name, figure in figures.items():
            args += [name, figure]
        await self._session.run(
            "add_figures", [self._keys.deployment_sums(day), self._keys.figures_batch(worker)], args
        )

    async def sums(self, first_day: int, last_day: int) -> list[DeploymentSums]:
        """What each deployment has done on these days, both included."""
        names = [self._keys.deployment_sums(day) for day in range(first_day, last_day + 1)]
        days = await self._session.each("HGETALL", names)

        def figures() -> Iterator[tuple[str, int]]:
            for fields in days:
                yield from ((name, int(number)) for name, number in fields.items())

        return sums_by_name(figures())
