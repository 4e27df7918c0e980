"""What the services need to encrypt records anew after a rotation. Implementation: `redis_resealing.py`."""

from dataclasses import dataclass
from typing import Protocol

START = "0:0"


@dataclass(frozen=True, slots=True)
class Resealed:
    """A page of records: how many there were, how many of them were encrypted anew, the names of those that no key at
    hand opens, and where the next page begins (`None`: there is none)."""

    records: int
    sealed: int
    unreadable: tuple[str, ...]
    next_cursor: str | None


class ResealingStore(Protocol):
    """Goes through all records that hold sealed texts."""

    async def reseal(self, cursor: str) -> Resealed:
        """Encrypt a page of records with the first key, from `cursor` on. Raises `ValueError` for a cursor that is
        none, and `StoreUnavailable`."""
        ...
