"""Operators' acts on users' records."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scalix.domain.calendar import rfc3339
from scalix.domain.errors import BadRequest, UserAlreadyExists, UserNotFound
from scalix.domain.limits import NANO_USD_PER_USD, Window
from scalix.domain.quota import Tallies, Tally
from scalix.domain.subjects import Subject
from scalix.service.audit import Act, Actor, AuditTrail
from scalix.service.identity import checked_user_id
from scalix.service.limit_views import shown_windows
from scalix.service.policy_source import PolicySource
from scalix.service.user_records import (
    change_record,
    checked_limits,
    refuse_unknown_fields,
    refuse_unknown_user,
    user_id_in,
)
from scalix.service.users import UserDirectory, effective_limits, overrides_of
from scalix.store.base import LimitTools, UserExists, UserRecord, UserStore

_FIELDS = frozenset({"user_id", "tier", "blocked", "limits", "metadata"})
# Metadata is the operator's own data about a person: that it was changed is told, not to what.
_TOLD_IN_AUDIT = ("tier", "blocked", "limits")


class UserAdministration:
    """Makes, reads, changes and deletes users. Field names are those of LiteLLM's `/user/*` routes."""

    def __init__(
        self,
        users: UserStore,
        counters: LimitTools,
        directory: UserDirectory,
        policy: PolicySource,
        audit: AuditTrail,
    ) -> None:
        self._users = users
        self._counters = counters
        self._directory = directory
        self._policy = policy
        self._audit = audit

    async def new(self, body: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        """Write a record for a user without one. Raises `BadRequest`, `UserAlreadyExists`."""
        record = self._changed(UserRecord(user_id_in(body)), body)
        try:
            written = await self._users.create(record)
        except UserExists:
            message = f"The user '{record.user_id}' exists already. Change it with POST /user/update."
            raise UserAlreadyExists(message, param="user_id") from None
        await self._audit.record(_act("user.new", by, record.user_id, body))
        return await self._shown(written)

    async def update(self, body: Mapping[str, Any], by: Actor) -> dict[str, Any]:
        """Change a record; a user without one gets one. Raises `BadRequest`, `UserChanging`."""
        user_id = user_id_in(body)
        _, written = await change_record(self._users, user_id, lambda before: self._changed(before, body))
        await self._audit.record(_act("user.update", by, user_id, body))
        return await self._shown(written)

    async def info(self, user_id: str) -> dict[str, Any]:
        """A user's record and use. Raises `UserNotFound` for a name that nobody has written or called with."""
        record = await self._users.get(checked_user_id(user_id, "user_id"))
        return await self._shown(record)

    async def delete(self, user_ids: object, by: Actor) -> dict[str, Any]:
        """Delete records and counters. Raises `BadRequest`, `UserNotFound`."""
        if not isinstance(user_ids, list) or not user_ids:
            raise BadRequest("'user_ids' must be a list of user ids.", param="user_ids")
        names = [checked_user_id(name, "user_ids") for name in user_ids]
        for name in names:
            if not await self._is_known(name):
                raise UserNotFound(f"The user '{name}' is not known. Nothing was deleted.", param="user_ids")
        for name in names:
            await self._users.delete(name)
            self._directory.forget(name)
            await self._audit.record(Act("user.delete", by, name))
        return {"deleted": names}

    async def _is_known(self, user_id: str) -> bool:
        record = await self._users.get(user_id)
        return record.exists or bool((await self._counters.tallies(_subject(user_id)))[1])

    def _changed(self, record: UserRecord, body: Mapping[str, Any]) -> UserRecord:
        refuse_unknown_fields(body, _FIELDS)
        return replace(
            record,
            tier=self._tier(body["tier"]) if "tier" in body else record.tier,
            blocked=_flag(body["blocked"]) if "blocked" in body else record.blocked,
            limits=checked_limits(body["limits"]) if "limits" in body else record.limits,
            metadata=_object(body["metadata"], "metadata") if "metadata" in body else record.metadata,
        )

    def _tier(self, name: object) -> str | None:
        tiers = self._policy.current.tiers
        if name is not None and (not isinstance(name, str) or name not in tiers):
            raise BadRequest(f"'tier' must be one of: {', '.join(tiers)}.", param="tier")
        return name

    async def _shown(self, record: UserRecord) -> dict[str, Any]:
        now_ms, tallies = await self._counters.tallies(_subject(record.user_id))
        refuse_unknown_user(record, tallies)
        if record.exists:
            self._directory.remember(record)
        tier = self._policy.current.tier_or_default(record.tier)
        info = {
            "user_id": record.user_id,
            "tier": tier.name,
            "blocked": record.blocked,
            "metadata": record.metadata,
            "usage": _usage(tallies),
            "limits": shown_windows(effective_limits(tier, record), overrides_of(record), tallies, now_ms),
            "overrides": record.limits,
            "created_at": rfc3339(record.created_ms) if record.created_ms else None,
            "updated_at": rfc3339(record.updated_ms) if record.updated_ms else None,
        }
        # LiteLLM's clients read the inner object, curl users the outer one.
        return {**info, "user_info": info}


def _act(name: str, by: Actor, user_id: str, body: Mapping[str, Any]) -> Act:
    details = {field: body[field] for field in _TOLD_IN_AUDIT if field in body}
    return Act(name, by, user_id, {"fields": sorted(body.keys() - {"user_id"}), **details})


def _usage(tallies: Tallies) -> dict[str, Any]:
    hour, day = tallies.get(Window.HOUR, Tally()), tallies.get(Window.DAY, Tally())
    return {
        "requests_this_hour": hour.requests_used,
        "requests_today": day.requests_used,
        "tokens_today": day.tokens_used,
        "cost_today_usd": day.nano_usd_used / NANO_USD_PER_USD,
        "in_flight_requests": day.requests_held,
    }


def _subject(user_id: str) -> str:
    return str(Subject("user", user_id))


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise BadRequest("'blocked' must be true or false.", param="blocked")
    return value


def _object(value: object, param: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"'{param}' must be an object.", param=param)
    return value
