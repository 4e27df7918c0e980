"""The errors that every store may raise, and what is kept about a user."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scalix.domain.limits.quota import UNKNOWN_VERSION


class StoreError(Exception):
    """The store did not do what it was asked. `args[0]` says why, without any secret."""


class StoreUnavailable(StoreError):
    """The store could not be reached in time, or does not take writes.

    - `maybe_acted`: the store may have done what it was asked, or may still do it
    - `counts`: whether the failure says anything about the store, which a call that was not made does not
    - `state`: what the store is, in words for the operator
    - `for_all`: other calls that go well say nothing against it, so that one failure is enough
    """

    def __init__(
        self,
        message: str,
        *,
        maybe_acted: bool = True,
        counts: bool = True,
        state: str = "unreachable",
        for_all: bool = False,
    ) -> None:
        super().__init__(message)
        self.maybe_acted = maybe_acted
        self.counts = counts
        self.state = state
        self.for_all = for_all


class CallRejected(StoreUnavailable):
    """The store answers this call with an error, as on a key of another type. Other calls may do well."""

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
