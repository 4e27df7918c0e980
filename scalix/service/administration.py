"""Operators' acts on users' records."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scalix.domain.calendar import rfc3339
from scalix.domain.errors import BadRequest, UserAlreadyExists, UserNotFound
from scalix.domain.limits import NANO_USD_PER_USD, Metric, Window
from scalix.domain.policy import Tier
from scalix.domain.quota import Tallies, Tally, window_states
from scalix.domain.subjects import Subject
from scalix.service.identity import checked_user_id
from scalix.service.policy_source import PolicySource
from scalix.service.users import UserDirectory
from scalix.store.base import QuotaStore, UserExists, UserRecord, UserStore

_FIELDS = frozenset({"user_id", "tier", "blocked", "metadata"})


class UserAdministration:
    """Makes, reads, changes and deletes users. Field names are those of LiteLLM's `/user/*` routes."""

    def __init__(self, users: UserStore, quotas: QuotaStore, directory: UserDirectory, policy: PolicySource) -> None:
        self._users = users
        self._quotas = quotas
        self._directory = directory
        self._policy = policy

    async def new(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Write a record for a user without one. Raises `BadRequest`, `UserAlreadyExists`."""
        record = self._changed(UserRecord(_user_id(body)), body)
        try:
            written = await self._users.create(record)
        except UserExists:
            message = f"The user '{record.user_id}' exists already. Change it with POST /user/update."
            raise UserAlreadyExists(message, param="user_id") from None
        return await self._shown(written)

    async def update(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Change a record; a user without one gets one. Raises `BadRequest`."""
        before = await self._users.get(_user_id(body))
        return await self._shown(await self._users.update(self._changed(before, body)))

    async def info(self, user_id: str) -> dict[str, Any]:
        """A user's record and use. Raises `UserNotFound` for a name that nobody has written or called with."""
        record = await self._users.get(checked_user_id(user_id, "user_id"))
        return await self._shown(record)

    async def delete(self, user_ids: object) -> dict[str, Any]:
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
        return {"deleted": names}

    async def _is_known(self, user_id: str) -> bool:
        record = await self._users.get(user_id)
        return record.exists or bool((await self._quotas.tallies(_subject(user_id)))[1])

    def _changed(self, record: UserRecord, body: Mapping[str, Any]) -> UserRecord:
        unknown = body.keys() - _FIELDS
        if unknown:
            name = min(unknown)
            known = ", ".join(sorted(_FIELDS))
            raise BadRequest(f"The field '{name[:100]}' is not known here. Known are: {known}.", param=name[:100])
        return replace(
            record,
            tier=self._tier(body["tier"]) if "tier" in body else record.tier,
            blocked=_flag(body["blocked"]) if "blocked" in body else record.blocked,
            metadata=_object(body["metadata"], "metadata") if "metadata" in body else record.metadata,
        )

    def _tier(self, name: object) -> str | None:
        tiers = self._policy.current.tiers
        if name is not None and (not isinstance(name, str) or name not in tiers):
            raise BadRequest(f"'tier' must be one of: {', '.join(tiers)}.", param="tier")
        return name

    async def _shown(self, record: UserRecord) -> dict[str, Any]:
        now_ms, tallies = await self._quotas.tallies(_subject(record.user_id))
        if not record.exists and not any(tally != Tally() for tally in tallies.values()):
            message = f"The user '{record.user_id}' is not known: it has no record and has made no request."
            raise UserNotFound(message, param="user_id")
        if record.exists:
            self._directory.remember(record)
        tier = self._policy.current.tier_or_default(record.tier)
        info = {
            "user_id": record.user_id,
            "tier": tier.name,
            "blocked": record.blocked,
            "metadata": record.metadata,
            "usage": _usage(tallies),
            "limits": _limits(tier, tallies, now_ms),
            "created_at": rfc3339(record.created_ms) if record.created_ms else None,
            "updated_at": rfc3339(record.updated_ms) if record.updated_ms else None,
        }
        # LiteLLM's clients read the inner object, curl users the outer one.
        return {**info, "user_info": info}


def _usage(tallies: Tallies) -> dict[str, Any]:
    hour, day = tallies.get(Window.HOUR, Tally()), tallies.get(Window.DAY, Tally())
    return {
        "requests_this_hour": hour.requests_used,
        "requests_today": day.requests_used,
        "tokens_today": day.tokens_used,
        "cost_today_usd": day.nano_usd_used / NANO_USD_PER_USD,
        "in_flight_requests": day.requests_held,
    }


def _limits(tier: Tier, tallies: Tallies, now_ms: int) -> list[dict[str, Any]]:
    return [
        {
            "limit": state.limit.name,
            "limit_value": _shown_amount(state.limit.metric, state.limit.value),
            "used": _shown_amount(state.limit.metric, state.used),
            "remaining": _shown_amount(state.limit.metric, state.remaining),
            "reset_at": rfc3339(state.reset_ms),
        }
        for state in window_states(tier.limits, tallies, now_ms)
    ]


def _shown_amount(metric: Metric, value: int) -> int | float:
    return value / NANO_USD_PER_USD if metric is Metric.SPEND else value


def _user_id(body: Mapping[str, Any]) -> str:
    if "user_id" not in body:
        raise BadRequest("'user_id' is missing: name the user.", param="user_id")
    return checked_user_id(body["user_id"], "user_id")


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
