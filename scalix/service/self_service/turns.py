"""Who acts on what is their own, and how often."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Self

from scalix.domain.errors import NotPermitted, RateLimitExceeded, UserChanging
from scalix.domain.limits.durations import in_words
from scalix.service.audit.audit import Actor
from scalix.service.identity.callers import Caller
from scalix.store.base import StoreUnavailable
from scalix.store.records.redis_turns import TurnStore

MOST_WITHIN_AN_HOUR = 60
"""Acts of one user; an act may count as several."""


@dataclass(frozen=True, slots=True)
class Person:
    """A user who acts on what is their own. `caller` has the virtual key that they have shown, if they have."""

    caller: Caller
    by: Actor

    @classmethod
    def of(cls, caller: Caller, request_id: str = "", address: str = "") -> Self:
        """Raises `NotPermitted` for everybody who is no user."""
        if caller.subject.kind != "user":
            message = "This is for users, with a virtual key or a token of their own."
            raise NotPermitted(message, who=str(caller.subject))
        return cls(caller, Actor(str(caller.subject), request_id, address))

    @property
    def user_id(self) -> str:
        """The user's id."""
        return self.caller.subject.name

    def refuse_narrower_key(self) -> None:
        """Raise `NotPermitted` for a key that allows less than its user may, which must not become more by this."""
        if self.caller.key is not None and self.caller.key.is_narrower:
            raise NotPermitted(
                "This API key has limits of its own (models, budget, rates, addresses or an end), so keys and data of "
                "its user can't be changed with it. Use another credential of yours.",
                who=str(self.caller.subject),
            )


@dataclass(frozen=True, eq=False)
class Turns:
    """Bounds what users do by themselves, over all instances: every act is an entry in the audit log at least."""

    store: TurnStore

    @asynccontextmanager
    async def turn(self, person: Person, weight: int = 1) -> AsyncIterator[None]:
        """The turn of a user, for an act that counts as `weight`. Raises `NotPermitted`, `RateLimitExceeded`,
        `UserChanging`, `StoreUnavailable`."""
        person.refuse_narrower_key()
        subject = str(person.caller.subject)
        wait_ms = await self.store.take(subject, weight, MOST_WITHIN_AN_HOUR)
        if wait_ms < 0:
            raise UserChanging("Another change of yours is being made. Try again when it is done.")
        if wait_ms:
            message = f"You have changed much within an hour. Try again {in_words(wait_ms)}."
            raise RateLimitExceeded(message, retry_after_s=-(-wait_ms // 1000))
        try:
            yield
        finally:
            with suppress(StoreUnavailable):  # then it ends by itself
                await self.store.end(subject)
