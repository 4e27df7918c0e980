"""What the services need of a store. Implementations: in the folders beside this file, `memory` for one process."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from scalix.domain.ledger.audit_chain import Head, Link
from scalix.domain.ledger.ledger import Aggregate, Balance, Event, Summary
from scalix.domain.limits.limits import Metric, Window
from scalix.domain.limits.quota import UNKNOWN_VERSION, Ask, Charge, Decision, Receipt, Settled, ShadowCount, Tallies


class StoreError(Exception):
    """The store did not do what it was asked. `args[0]` says why, without any secret."""


class StoreUnavailable(StoreError):
    """The store could not be reached in time, or does not take writes.

    `maybe_acted`: it may have done what it was asked, or may still do it. `counts`: says something about the store, as
    opposed to a call that was not made, or not given its full time.
    """

    def __init__(self, message: str, *, maybe_acted: bool = True, counts: bool = True) -> None:
        super().__init__(message)
        self.maybe_acted = maybe_acted
        self.counts = counts


class CallRejected(StoreUnavailable):
    """The store is there and answers this call with an error, as on a key of another type. Other calls may do well."""

    def __init__(self, message: str) -> None:
        super().__init__(message, maybe_acted=False, counts=False)


class UserExists(StoreError):
    """A user of this name has a record already."""


class RecordChanged(StoreError):
    """The record has been written by somebody else since it was read. Read it again."""


@dataclass(frozen=True, slots=True)
class UserRecord:
    """What is kept about a user. `tier` of `None` means the default tier; `limits` are overrides as configured.

    A token counts only if it was issued after `tokens_valid_after_ms` and is not among `revoked_tokens`: the digest of
    its `jti`, and the Unix time in s from which on it has ended by itself. `sealed_metadata` is metadata that can't be
    decrypted with the keys at hand: `metadata` is then empty, and the sealed text stays as it is when written back.
    """

    user_id: str
    version: str = UNKNOWN_VERSION
    tier: str | None = None
    blocked: bool = False
    limits: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, object] = field(default_factory=dict)
    tokens_valid_after_ms: int = 0
    revoked_tokens: Mapping[str, int] = field(default_factory=dict)
    created_ms: int = 0
    updated_ms: int = 0
    sealed_metadata: str | None = None
    consent: Mapping[str, bool] = field(default_factory=dict)  # what the user has said; see domain/privacy.py
    unread: bool = False  # the store was away, so what the record says is not known

    @property
    def exists(self) -> bool:
        """Whether anybody has written this record, as opposed to a user who has only called."""
        return self.version != UNKNOWN_VERSION


class QuotaStore(Protocol):
    """Reservations and charges, atomic per call. Every method may raise `StoreUnavailable`."""

    async def admit(self, ask: Ask) -> Decision:
        """Reserve room for one request, or consume nothing. Idempotent by request id while it is in flight."""
        ...

    async def settle(self, receipt: Receipt, charge: Charge) -> Settled:
        """Charge true use and give back the rest, once by request id."""
        ...

    async def release(self, request_id: str, subject: str, key_id: str | None = None, at_ms: int | None = None) -> bool:
        """Give a reservation back as if never made; `False` if there was none (one still on its way will fail).
        `key_id` is the virtual key that the request came with, `at_ms` (Unix time) when it came (`None`: just now)."""
        ...

    async def renew(self, receipts: Iterable[Receipt], lease_ms: int) -> None:
        """Extend the leases of requests that are alive."""
        ...

    async def sweep(self) -> int:
        """Charge the prompt estimate of every request whose lease has lapsed; how many there were."""
        ...

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        """The store's time (ms) and the subject's windows of that moment."""
        ...


@dataclass(frozen=True, slots=True)
class Cooling:
    """A model that is left alone for `rest_ms` more. `asked_for`: its provider has said for how long."""

    model: str
    rest_ms: int
    asked_for: bool


class CooldownStore(Protocol):
    """Which models are left alone. Every method may raise `StoreUnavailable`."""

    async def cool(self, model: str, for_ms: int, *, asked_for: bool) -> None:
        """Leave `model` alone for `for_ms` from now, or for longer if that is known; 0 ends it."""
        ...

    async def count_failure(self, model: str, subject: str, *, within_ms: int, failures: int) -> bool:
        """Count a failed request of `subject`. Whether there have been `failures` in a row within `within_ms`, of more
        than one subject: they are forgotten then."""
        ...

    async def forget_failures(self, model: str) -> None:
        """`model` has answered: what has failed before is no row any more."""
        ...

    async def cooling(self) -> tuple[list[Cooling], set[str]]:
        """The models that rest now, and those of which failures are counted."""
        ...


class NameStore(Protocol):
    """The names of a day that wildcards serve. May raise `StoreUnavailable`."""

    async def list_name(self, day: int, name: str, most: int) -> frozenset[str] | None:
        """Put `name` among those of `day` (index since 1970), or find it there: `None`. Where there are `most` others:
        those, for good."""
        ...


class MergeStore(Protocol):
    """Makes one subject's use the start of another's. Every method may raise `StoreUnavailable`."""

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        """The store's time (ms) and the subject's windows of that moment."""
        ...

    async def raise_to(self, subject: str, read_ms: int, tallies: Tallies) -> bool:
        """Raise the subject's settled use to the use and holdings in `tallies`, read at `read_ms`, where they are more
        and their window has not ended. Once for each subject: `False` if it was done before; then nothing changes."""
        ...


class LimitTools(Protocol):
    """What operators ask of counters, beside `QuotaStore`. Every method may raise `StoreUnavailable`."""

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        """The store's time (ms) and the subject's windows of that moment."""
        ...

    async def in_flight(self, subject: str) -> int:
        """How many of the subject's requests are in flight."""
        ...

    async def reset(self, subject: str, what: Collection[tuple[Metric, Window]]) -> tuple[int, Tallies]:
        """Set the settled use of these metrics in these windows of now to zero, at once; what requests in flight hold
        stays. Returns the store's time (ms) and the windows as they were before."""
        ...

    async def shadow_counts(self, days: int) -> Collection[ShadowCount]:
        """What limits that are not enforced would have refused, today and the days before, `days` in all."""
        ...


Ranking = Literal["tokens", "cost"]


class LedgerReader(Protocol):
    """Reads what settlements have written. Days and hours are indexes since 1970-01-01 UTC, both ends included. Every
    method may raise `StoreUnavailable`."""

    async def now_ms(self) -> int:
        """The store's time."""
        ...

    async def events(self, subject: str, day: int) -> list[Event]:
        """The subject's events of a day, by time of admission and then id."""
        ...

    async def summaries(self, subject: str, first_day: int, last_day: int) -> list[Summary]:
        """The subject's sums by day, model, tier and key."""
        ...

    async def by_hour(self, first_hour: int, last_hour: int) -> list[Aggregate]:
        """Everybody's sums by hour."""
        ...

    async def by_day(self, first_day: int, last_day: int) -> list[Aggregate]:
        """Everybody's sums by day."""
        ...

    async def top(self, first_day: int, last_day: int, by: Ranking, most: int) -> list[tuple[str, int]]:
        """The subjects that used most, with their tokens or nano-dollars of provider cost, the greatest first."""
        ...


class BalanceStore(Protocol):
    """Prepaid balances. Every method may raise `StoreUnavailable`."""

    async def balance(self, subject: str) -> Balance | None:
        """The balance; `None` for a subject that was never credited."""
        ...

    async def credit(self, subject: str, nano_usd: int, credit_id: str) -> tuple[bool, Balance]:
        """Add to the balance (a negative amount takes from it), once for each `credit_id`. Whether it was added now,
        and the balance after it."""
        ...


class UserStore(Protocol):
    """Users' records. Every method may raise `StoreUnavailable`."""

    async def get(self, user_id: str) -> UserRecord:
        """The record; one with `exists` false for a user without."""
        ...

    async def create(self, record: UserRecord) -> UserRecord:
        """Write a new record and return it with its version. Raises `UserExists`."""
        ...

    async def update(self, record: UserRecord) -> UserRecord:
        """Write the record with a new version, if it still has the version that `record` was read with (a user
        without one: still none). Raises `RecordChanged`."""
        ...

    async def delete(self, user_id: str) -> bool:
        """Remove the record and the counters; whether there was a record."""
        ...

    async def page(self, first: int, most: int) -> tuple[int, list[UserRecord]]:
        """How many users have a record, and up to `most` of them after the `first` ones, by name (of very many: by
        shard and name)."""
        ...


class AuditStore(Protocol):
    """Keeps the audit log. Every method may raise `StoreUnavailable`."""

    async def head(self) -> Head:
        """The end of the log."""
        ...

    async def append(self, head: Head, links: Sequence[Link], *, keep_from: int | None = None) -> bool:
        """Add entries after `head`, all or none; `False` if the log ends with another entry now. `keep_from` removes
        the entries of lesser numbers in the same step."""
        ...

    async def after(self, seq: int, most: int) -> list[Link]:
        """The oldest entries after the number `seq` (0: of all), oldest first."""
        ...

    async def before(self, seq: int | None, most: int) -> list[Link]:
        """The newest entries before the number `seq` (`None`: of all), newest first."""
        ...


class EpochStore(Protocol):
    """Knows a store that was emptied. May raise `StoreUnavailable`."""

    async def epoch(self, new: str, *, write: bool) -> str:
        """The store's epoch, `new` if it had none. `write` makes the server write, to see whether it does."""
        ...
