"""At sign-up: what an address has used without an account is where its new user starts."""

from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from scalix.domain.errors import BadRequest
from scalix.domain.identity.addresses import group_named
from scalix.domain.identity.subjects import Subject, user_subject
from scalix.service.audit.audit import FAILED, Act, Actor, AuditTrail, recorded
from scalix.service.bodies import TEXT, ReadBy, RequestBody, UserId
from scalix.store.quota.redis_limits import LimitTools


def _address(value: Any, name: str) -> str:
    address = group_named(value) if isinstance(value, str) else None
    if address is None:
        message = "'address' must be the IP address that the user came from, such as 192.0.2.1 or 2001:db8::1."
        raise BadRequest(message, param=name)
    return address


class Merge(RequestBody):
    """The new user, and where it came from; an IPv6 address stands for its network."""

    user_id: UserId
    address: Annotated[str, ReadBy(_address, TEXT), Field(description="the IP address that the user came from")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """Whether the address's use was taken over; not, if that was done before."""

    user_id: str
    address: str
    merged: bool


class Merging:
    """The use case behind `POST /scalix/v1/merge`."""

    def __init__(self, store: LimitTools, audit: AuditTrail) -> None:
        self._store = store
        self._audit = audit

    async def merge(self, body: Merge, by: Actor) -> Merged:
        """Start `user_id` at the greater of its own use and the address's in each current window, once for each user.

        Two shards, so two steps; nothing is written in the first, so that a call which broke off can be made again.
        Raises `BadRequest`, `StoreUnavailable`.
        """
        user_id, address = body.user_id, body.address
        read_ms, tallies = await self._store.tallies(str(Subject("address", address)))
        act = Act("user.merge", by, user_id, {"merged_address": address}, hides=(address,))
        async with recorded(self._audit, act):
            merged = await self._store.raise_to(user_subject(user_id), read_ms, tallies)
        if not merged:
            await self._audit.record(replace(act, name=act.name + FAILED, details={"error": "merged_before"}))
        return Merged(user_id=user_id, address=address, merged=merged)
