"""What views of usage have in common: sums of what is alike, and how a key is named."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from scalix.domain.identity.subjects import Subject
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.ledger.ledger import Aggregate, Summary, Sums
from scalix.store.records.redis_keys import KeyStore

COUNTS = ("requests", "tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")

G = TypeVar("G")
S = TypeVar("S", Aggregate, Summary)


def summed(items: Iterable[S], group_of: Callable[[S], G]) -> dict[G, Sums]:
    """The sums of items that are of one group."""
    groups: dict[G, list[int]] = {}
    for item in items:
        group, values = group_of(item), item.sums.values()
        known = groups.get(group)
        groups[group] = list(values) if known is None else list(map(int.__add__, known, values))
    return {group: Sums(*values) for group, values in groups.items()}


def counts(sums: Sums) -> dict[str, int]:
    """The figures that are the same for everybody who sees them: requests, and tokens by their kind."""
    return {name: getattr(sums, name) for name in COUNTS}


class KeyNames:
    """What one subject's virtual keys are called, by their ids. Each is read when it is first met."""

    def __init__(self, subject: Subject, keys: KeyStore) -> None:
        self._user_id = subject.name if subject.kind == "user" else None
        self._keys = keys
        self._known: dict[str, KeyRecord | None] = {}

    async def learn(self, key_id: str) -> None:
        """Read a key, if it has not been read yet. Raises `StoreUnavailable`."""
        if key_id and key_id not in self._known and self._user_id is not None:
            self._known[key_id] = await self._keys.get(key_id, self._user_id)

    def alias(self, key_id: str) -> str | None:
        """The alias of a key that was learned."""
        record = self._known.get(key_id)
        return record.alias if record else None

    def name(self, key_id: str) -> str | None:
        """The alias of a key that was learned, else the end of its secret; `None` for one that there is not."""
        record = self._known.get(key_id)
        return None if record is None else record.alias or f"sk-...{record.last_four}"


def percent_of(part: int, whole: int) -> float | None:
    """How many percent of a whole, which may be nothing."""
    return round(100 * part / whole, 2) if whole else None
