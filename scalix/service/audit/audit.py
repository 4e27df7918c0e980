"""A record of what operators did: who, what, to whom, from where, when. Never a secret, never a user's own data."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from scalix.store.base import StoreError, StoreUnavailable

log = logging.getLogger("scalix.audit")

FAILED = ".failed"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, such as `operator:master`, in which request, and from which address."""

    name: str
    request_id: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Act:
    """One act, such as `user.limits` or `user.reset`. `details`, `before` and `after` are plain data: no key, no
    metadata of a user. `object` says what is acted upon where that is not the user `user_id`.

    The log names the user by a pseudonym, and so each of `hides`: texts that tell who the user is, such as an alias.
    `at_ms` is when it happened (Unix time), where that may be long before it is recorded.
    """

    name: str
    actor: Actor
    user_id: str
    details: Mapping[str, Any] = field(default_factory=dict)
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    object: str = ""
    hides: tuple[str, ...] = ()
    at_ms: int | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """What is kept of it."""
        facts: dict[str, Any] = {
            "act": self.name,
            "actor": self.actor.name,
            "address": self.actor.address,
            "request_id": self.actor.request_id,
            "object": self.object or (f"user:{self.user_id}" if self.user_id else ""),
        }
        more = {"before": self.before, "after": self.after, "details": self.details or None}
        return facts | {name: dict(value) for name, value in more.items() if value is not None}


class AuditTrail(Protocol):
    """Where acts are recorded, before they are done: what can't be recorded is not done. See `recorded`."""

    async def record(self, act: Act) -> None:
        """Keep one act. May raise `StoreUnavailable`."""
        ...

    async def record_all(self, acts: Sequence[Act]) -> None:
        """Keep several, all or none. May raise `StoreUnavailable`."""
        ...


@asynccontextmanager
async def recorded(audit: AuditTrail, act: Act) -> AsyncIterator[None]:
    """Record an act, which is then done within this context: no act goes unrecorded.

    When it fails, a second entry follows, of its name and `.failed`; `maybe_done` in it says that nobody knows. Raises
    `StoreUnavailable` when the first entry can't be written: the act is not done then.
    """
    await audit.record(act)
    try:
        yield
    except (Exception, asyncio.CancelledError) as error:
        details: dict[str, Any] = {"error": getattr(error, "code", None) or type(error).__name__}
        if isinstance(error, asyncio.CancelledError) or (isinstance(error, StoreUnavailable) and error.maybe_acted):
            details["maybe_done"] = True
        try:
            await audit.record(replace(act, name=act.name + FAILED, details=details, before=None, after=None))
        except StoreError as fault:
            request_id = act.actor.request_id
            log.error("audit: %s of %s failed (%s), which can't be recorded: %s", act.name, request_id, details, fault)
        raise
