"""What the check of the ledger needs of a store: reads of one moment, and writes that take nothing for granted."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from scalix.domain.ledger.ledger_check import Difference, ShardBooks, SubjectBooks, Texts


@dataclass(frozen=True, slots=True)
class Listing:
    """Whom the store knows: subjects by shard, and the shards that users were erased from since the day began."""

    subjects: dict[int, set[str]] = field(default_factory=dict)
    erased: frozenset[int] = frozenset()


class Books(Protocol):
    """Every method may raise `StoreUnavailable`. Days are indexes since 1970-01-01 UTC."""

    async def now_ms(self) -> int:
        """The store's time."""
        ...

    async def listing(self, day: int) -> Listing:
        """Every subject with windows, or with events or summaries of `day`. Reads all names of keys."""
        ...

    async def subject(self, subject: str, day: int) -> SubjectBooks:
        """All that is kept of the subject and day, at one moment."""
        ...

    async def shard(self, shard: int, day: int, subjects: Collection[str] = ()) -> tuple[ShardBooks, dict[str, Texts]]:
        """Everybody's sums of a shard, and the events of `subjects`, at one moment."""
        ...

    async def mend_subject(self, books: SubjectBooks, day: int, changes: Sequence[Difference]) -> bool:
        """Write what is right, all or nothing, if nothing has changed since `books` was read; else `False`."""
        ...

    async def mend_shard(self, shard: int, day: int, changes: Sequence[Difference]) -> bool:
        """Write what is right, all or nothing, if every field is still as it was found; else `False`."""
        ...
