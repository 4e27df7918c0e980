"""Who is calling, once the edge knows."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from scalix.domain.identity.subjects import OPERATOR, Subject
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.limits import UNLIMITED, Limits
from scalix.domain.policy import Tier
from scalix.store.base import UserRecord


@dataclass(frozen=True, slots=True)
class Caller:
    """One authenticated caller. `tier` is `None` for the operator, who may use every model and has no limits.

    `key` is the virtual key that the caller has shown, whose limits and models hold beside the tier's.
    `may_name_users`: this credential may act for the user that a request names (the master key). `reread` judges the
    credential again by what the store holds now: the caller anew, or the error that it has become. It may raise
    `StoreUnavailable`. `None` where nothing is kept of the caller.
    """

    subject: Subject
    tier: Tier | None
    limits: Limits
    record: UserRecord | None = None
    may_name_users: bool = False
    key: KeyRecord | None = None
    reread: Callable[[], Awaitable["Caller"]] | None = field(default=None, compare=False, repr=False)

    @property
    def version(self) -> str | None:
        """The version of the user's record that tier and limits were read from."""
        return self.record.version if self.record else None

    def allows(self, model: str) -> bool:
        """Whether this caller may use `model`."""
        return (self.tier is None or self.tier.allows(model)) and (self.key is None or self.key.allows(model))


THE_OPERATOR = Caller(OPERATOR, None, UNLIMITED, may_name_users=True)
