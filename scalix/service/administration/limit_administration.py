"""Operators' acts on limits: show them, give a user their own, give room back, see what the shadow would refuse."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from scalix.domain.errors import BadRequest
from scalix.domain.identity.subjects import user_subject
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.limits.limits import LIMIT_NAMES, Metric, Window, limit_name
from scalix.domain.limits.quota import Tallies
from scalix.service.administration.limit_views import ShownLimit, shown_limits, used_of
from scalix.service.administration.user_records import UserRecords, refuse_unknown_user
from scalix.service.audit.audit import Act, Actor, recorded
from scalix.service.bodies import LimitsOfUser, ReadBy, RequestBody, UserId
from scalix.service.described import Fields, Json
from scalix.service.identity.users import effective_limits, overrides_of
from scalix.service.queries import date_of, whole_number
from scalix.store.base import UserRecord

ALL = "all"
DEFAULT_SHADOW_DAYS, MOST_SHADOW_DAYS = 7, 35
_SHOWN = Fields({str: "user_id tier", list[ShownLimit]: "limits", dict[str, Any]: "overrides"})
LimitsOfOne = Annotated[Json, _SHOWN]
LimitsAfterReset = Annotated[Json, Fields(_SHOWN, {dict[str, float]: "undone"})]


def _windows_named(value: Any, name: str) -> str | list[str]:
    if value == ALL:
        return ALL
    if not isinstance(value, list) or not value:
        message = '\'windows\' must be "all" or a list of names, such as ["requests-hour", "tokens-day"].'
        raise BadRequest(message, param="windows")
    for one in value:
        if not isinstance(one, str) or one not in LIMIT_NAMES:
            known = ", ".join(LIMIT_NAMES)
            raise BadRequest(f"'{str(one)[:40]}' is no window. Known are: {known}.", param="windows")
    return value


_NAMES = {"type": "array", "minItems": 1, "items": {"enum": list(LIMIT_NAMES)}}


class OwnLimits(RequestBody):
    """A user's own limits, in place of those written before."""

    user_id: UserId
    limits: Annotated[LimitsOfUser, Field(description="write the user's own limits, or {} for none")]


class Reset(RequestBody):
    """The windows in which a user's use is set to zero; `all` is every one."""

    user_id: UserId
    windows: Annotated[
        str | list[str],
        ReadBy(_windows_named, {"anyOf": [{"const": ALL}, _NAMES]}),
        Field(description='write "all" or a list of names, such as ["requests-hour", "tokens-day"]'),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class WouldHaveRefused:
    """How many requests of a tier a limit that is not enforced would have refused on a day, in UTC."""

    day: str
    tier: str
    limit: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """The newest day first."""

    would_have_refused: list[WouldHaveRefused]


@dataclass(frozen=True, eq=False)
class LimitAdministration:
    """The use cases behind `/user/limits`, `/user/reset` and `/scalix/v1/shadow`.

    `forget_refusals` lets a subject be judged anew, whose limits have been changed.
    """

    records: UserRecords
    forget_refusals: Callable[[str], None]

    async def show(self, user_id: object) -> LimitsOfOne:
        """A user's limits and their use. Raises `BadRequest`, `UserNotFound`."""
        record = await self.records.store.get(checked_user_id(user_id, "user_id"))
        return await self._shown(record, must_be_known=True)

    async def put(self, body: OwnLimits, by: Actor) -> LimitsOfOne:
        """Replace a user's own limits; a user without a record gets one. Raises `BadRequest`, `UserChanging`."""
        return await self.change(body.user_id, lambda limits: body.limits, by)

    async def change(
        self, user_id: str, change: Callable[[Mapping[str, Any]], Mapping[str, Any]], by: Actor
    ) -> LimitsOfOne:
        """Have `change` make a user's own limits out of what they are when they are written, which may be several
        times. Raises as `put`, and what `change` raises."""
        record = await self.records.change(
            user_id,
            lambda record: replace(record, limits=change(record.limits)),
            lambda before, after: Act("user.limits", by, user_id, before=before.limits, after=after.limits),
        )
        return await self._shown(record)

    async def reset(self, body: Reset, by: Actor) -> LimitsAfterReset:
        """Set a user's use to zero in some windows, or in all. Raises `BadRequest`, `UserNotFound`."""
        user_id, what = body.user_id, _windows(body.windows)
        record = await self.records.store.get(user_id)
        _, known = await self.records.counters.tallies(user_subject(user_id))
        refuse_unknown_user(record, known)
        act = Act("user.reset", by, user_id, {"windows": body.windows}, before=_used(known, what))
        async with recorded(self.records.audit, act):
            _, before = await self.records.counters.reset(user_subject(user_id), what)
        self.forget_refusals(user_subject(user_id))
        undone = _used(before, what)
        return {**await self._shown(record), "undone": undone}

    async def shadow(self, query: Mapping[str, str]) -> Shadow:
        """How many requests limits that are not enforced would have refused, by day, tier and limit."""
        days = whole_number(query, "days", DEFAULT_SHADOW_DAYS, MOST_SHADOW_DAYS)
        counts = await self.records.counters.shadow_counts(days)
        ordered = sorted(counts, key=lambda count: (-count.day, count.tier, count.limit))
        return Shadow(
            would_have_refused=[
                WouldHaveRefused(day=date_of(count.day), tier=count.tier, limit=count.limit, requests=count.requests)
                for count in ordered
            ]
        )

    async def _shown(self, record: UserRecord, *, must_be_known: bool = False) -> LimitsOfOne:
        subject = user_subject(record.user_id)
        now_ms, tallies = await self.records.counters.tallies(subject)
        if must_be_known:
            refuse_unknown_user(record, tallies)
        in_flight = await self.records.counters.in_flight(subject)
        tier = self.records.policy.current.tier_or_default(record.tier)
        limits, own = effective_limits(tier, record), overrides_of(record)
        return {
            "user_id": record.user_id,
            "tier": tier.name,
            "limits": shown_limits(limits, own, tallies, now_ms, in_flight),
            "overrides": record.limits,
        }


def _windows(names: str | list[str]) -> list[tuple[Metric, Window]]:
    return [LIMIT_NAMES[name] for name in (LIMIT_NAMES if names == ALL else dict.fromkeys(names))]


def _used(tallies: Tallies, what: Iterable[tuple[Metric, Window]]) -> dict[str, Any]:
    used = {limit_name(metric, window): used_of(tallies, metric, window) for metric, window in what}
    return {name: amount for name, amount in used.items() if amount}
