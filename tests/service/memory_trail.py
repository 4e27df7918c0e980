"""An audit trail in memory."""

from collections.abc import Sequence

from scalix.service.audit.audit import Act
from scalix.store.base import StoreUnavailable


class MemoryTrail:
    """Keeps acts; while `away`, it is a store that can't be reached."""

    def __init__(self) -> None:
        self.acts: list[Act] = []
        self.away = False

    async def record(self, act: Act) -> None:
        await self.record_all([act])

    async def record_all(self, acts: Sequence[Act]) -> None:
        if self.away:
            raise StoreUnavailable("the store is away")
        self.acts += acts

    @property
    def counted(self) -> int:
        """How many refusals the entries stand for."""
        return sum(act.details["count"] for act in self.acts if act.name.startswith("identity.refused"))
