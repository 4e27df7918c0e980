"""`usage_tracker`: reads what a user has used, and records usage that did not go through the gateway."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict
from uuid import uuid4

from scalix.api.runtime import RUNTIME, Runtime
from scalix.api.usage_values import Metadata, Money, Tracked, usage_of
from scalix.domain.errors import BadRequest
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.outcomes import Billable, charge_for
from scalix.domain.limits.calendar import DAY_MS, rfc3339
from scalix.domain.limits.limits import NANO_USD_PER_USD, Window
from scalix.domain.limits.quota import Charge, Outcome, Receipt, window_states
from scalix.domain.policy import Tier
from scalix.domain.prices.peak_prices import marked_up
from scalix.domain.privacy import permitted

if TYPE_CHECKING:
    from scalix.api.services import Services
    from scalix.service.usage.usage import Use, Whose

_LONGEST_ID = 200
_MOST_NANO_USD = 10**15
_COST = ("provider_cost_usd", "cost_usd")  # the latter is the name of before
_METADATA = frozenset(
    {
        *("request_id", "time", *_COST, "model_served", "provider", "latency_ms", "first_token_ms", "stream"),
        "outcome",
    }
)
BY_CALLER = "caller"
"""The price version of a cost that the caller has stated."""


class UserUsage(TypedDict):
    """What a user has used. Money is in US dollars; `cost_today_usd` is the charge under its name of before. `limits`,
    `remaining` and `resets` go by the limit's name, such as `requests-hour`, and resets are RFC 3339."""

    user_id: str
    tier: str | None
    requests_today: int
    tokens_today: int
    requests_this_hour: int
    charge_today_usd: float
    cost_today_usd: float
    requests_in_flight: int
    limits: dict[str, int | float]
    remaining: dict[str, int | float]
    resets: dict[str, str]
    balance_usd: NotRequired[float]


async def get_user_usage(services: "Services", user_id: str) -> UserUsage:
    whose = await services.usage.of_user(checked_name(user_id))
    return user_usage(whose, await services.usage.use(whose))


def user_usage(whose: "Whose", use: "Use") -> UserUsage:
    """The counters of one user as a `UserUsage`."""
    states = [state for state in window_states(whose.limits, use.tallies, use.now_ms) if state.limit.enforce]
    today = use.window(Window.DAY)
    found: UserUsage = {
        "user_id": whose.user_id,
        "tier": whose.tier,
        "requests_today": today.requests_used,
        "tokens_today": today.tokens_used,
        "requests_this_hour": use.window(Window.HOUR).requests_used,
        "charge_today_usd": use.charge_today_nano_usd / NANO_USD_PER_USD,
        "cost_today_usd": use.charge_today_nano_usd / NANO_USD_PER_USD,
        "requests_in_flight": use.in_flight,
        "limits": {state.limit.name: state.limit.metric.unit.shown(state.limit.value) for state in states},
        "remaining": {state.limit.name: state.limit.metric.unit.shown(state.remaining) for state in states},
        "resets": {state.limit.name: rfc3339(state.reset_ms) for state in states},
    }
    if use.balance is not None:
        found["balance_usd"] = use.balance.nano_usd / NANO_USD_PER_USD
    return found


async def track_usage(
    services: "Services", user_id: str, model: str, usage: object, metadata: Metadata = None
) -> Tracked:
    stated = _checked(metadata)
    known = services.policy.current.models.get(str(stated.get("model_served") or model))
    whose, tier, at_ms = await _charged(services, user_id, stated)
    used = usage_of(usage)
    outcome = Outcome(stated.get("outcome", Outcome.SUCCESS))
    price = known.price_at(at_ms) if known is not None else None
    detail = _detail(tier, model, stated, known.provider if known else "")
    billable = Billable(outcome, used, used.prompt_tokens, 0, price, at_ms, markup_ppm=tier.markup_ppm, detail=detail)
    charge = charge_for(billable)
    cost = next((stated[name] for name in _COST if name in stated), None)
    if cost is not None and charge.tokens:
        charge = _at_cost(charge, nano_usd_of(cost), tier)
    return await _settled(services, whose, charge, stated, at_ms, used.prompt_tokens)


async def track_cost(services: "Services", user_id: str, model: str, cost: Money, metadata: Metadata = None) -> Tracked:
    stated = _checked(metadata)
    whose, tier, at_ms = await _charged(services, user_id, stated)
    charge = Charge(Outcome.SUCCESS, 0, 0, 0, detail=_detail(tier, model, stated, ""))
    return await _settled(services, whose, _at_cost(charge, nano_usd_of(cost), tier), stated, at_ms, 0)


async def _charged(services: "Services", user_id: str, stated: Mapping[str, Any]) -> "tuple[Whose, Tier, int]":
    whose = await services.usage.of_user(checked_name(user_id))
    now_ms = await services.ledger.now_ms()
    return whose, services.policy.current.tier_or_default(whose.tier), _time_ms(stated.get("time"), now_ms)


async def _settled(
    services: "Services", whose: "Whose", charge: Charge, stated: Mapping[str, Any], at_ms: int, prompt_tokens: int
) -> Tracked:
    receipt = Receipt(
        request_id=stated.get("request_id") or uuid4().hex,
        subject=str(whose.subject),
        admitted_ms=at_ms,
        prompt_tokens=prompt_tokens,
        output_cap_tokens=0,
        tracks_minutes=any(limit.window is Window.MINUTE for limit in whose.limits.windows),
    )
    consent = whose.record.consent if whose.record else {}
    charge = replace(charge, detail=permitted(charge.detail, consent, services.policy.current.privacy))
    settled = await services.quotas.settle(receipt, charge)
    return {
        "request_id": receipt.request_id,
        "status": settled.status,
        "tokens": charge.tokens,
        "provider_cost_usd": charge.detail.cost_nano_usd / NANO_USD_PER_USD,
        "charge_usd": charge.detail.charge_nano_usd / NANO_USD_PER_USD,
    }


def _at_cost(charge: Charge, cost_nano_usd: int, tier: Tier) -> Charge:
    billed = marked_up(cost_nano_usd, tier.markup_ppm)
    detail = replace(charge.detail, cost_nano_usd=cost_nano_usd, charge_nano_usd=billed, price_version=BY_CALLER)
    return replace(charge, nano_usd=billed if tier.markup_ppm else cost_nano_usd, detail=detail)


def _detail(tier: Tier, model: str, stated: Mapping[str, Any], provider: str) -> Detail:
    if not isinstance(model, str) or not model:
        raise ValueError("model must be a model's name")
    return Detail(
        tier=tier.name,
        model=model,
        served=str(stated.get("model_served") or model),
        provider=str(stated.get("provider") or provider),
        latency_ms=int(stated.get("latency_ms") or 0),
        first_token_ms=stated.get("first_token_ms"),
        streamed=bool(stated.get("stream")),
    )


def checked_name(user_id: object) -> str:
    """The user's id, if it may be one. Raises `ValueError`."""
    try:
        return checked_user_id(user_id, "user_id")
    except BadRequest as wrong:
        raise ValueError(wrong.message) from None


def nano_usd_of(cost: Money) -> int:
    """Dollars as nano-dollars, rounded up. Raises `ValueError`."""
    try:
        amount = Decimal(str(cost)) * NANO_USD_PER_USD
        nano_usd = -int(-amount // 1)
        if isinstance(cost, bool) or not 0 <= nano_usd <= _MOST_NANO_USD:
            raise ValueError
    except (ArithmeticError, ValueError):
        raise ValueError(f"a cost must be US dollars from 0 to {_MOST_NANO_USD // NANO_USD_PER_USD:,}") from None
    return nano_usd


def _checked(metadata: Metadata) -> Mapping[str, Any]:
    """The members of `metadata` that are recorded, checked. Others are the caller's own and are dropped."""
    stated = {name: value for name, value in (metadata or {}).items() if name in _METADATA and value is not None}
    request_id = stated.get("request_id")
    is_id = isinstance(request_id, str) and request_id.isprintable() and 0 < len(request_id) <= _LONGEST_ID
    if request_id is not None and (not is_id or " " in request_id):
        raise ValueError(f"metadata['request_id'] must be a text of 1 to {_LONGEST_ID} characters without spaces")
    for name in ("latency_ms", "first_token_ms"):
        value = stated.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError(f"metadata['{name}'] must be a whole number of milliseconds")
    if stated.get("outcome", "success") not in tuple(Outcome):
        raise ValueError(f"metadata['outcome'] must be one of {', '.join(Outcome)}")
    return stated


def _time_ms(time: object, now_ms: int) -> int:
    if time is None:
        return now_ms
    if not isinstance(time, datetime) or time.tzinfo is None:
        raise ValueError("metadata['time'] must be a datetime with its zone: when the request began")
    at_ms = int(time.timestamp() * 1000)
    if not now_ms - DAY_MS <= at_ms <= now_ms + 60_000:
        raise ValueError("metadata['time'] must lie within the last 24 hours: older books are closed")
    return min(at_ms, now_ms)


class UsageTracker:
    """Reads and records what users use. `aio` has the same methods for asynchronous callers.

    All methods raise `StoreNotRunning`, `SetupError`, and `ValueError` for arguments that make no sense.
    """

    def __init__(self, runtime: Runtime = RUNTIME) -> None:
        self._runtime = runtime
        self.aio = AsyncUsageTracker(runtime)

    def get_user_usage(self, user_id: str) -> UserUsage:
        """A user's counters and limits. An unknown user has those of a new one."""
        return self._runtime.run(lambda services: get_user_usage(services, user_id))

    def track_usage(self, user_id: str, model: str, usage: object, metadata: Metadata = None) -> Tracked:
        """Charge a user one request that did not go through the gateway, once for each `metadata["request_id"]` of a
        day (UTC), and write it into the ledger.

        `usage` is what the provider stated. Of the metadata these count: `request_id`, `time` (a datetime of the last
        24 hours), `provider_cost_usd` (else by the gateway's prices), `model_served`, `provider`, `latency_ms`,
        `first_token_ms`, `stream`, `outcome`. Limits are counted, not enforced: ask `rate_limiter` first.
        """
        return self._runtime.run(lambda services: track_usage(services, user_id, model, usage, metadata))


class AsyncUsageTracker:
    """`UsageTracker` for asynchronous callers."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    async def get_user_usage(self, user_id: str) -> UserUsage:
        """As `UsageTracker.get_user_usage`."""
        return await self._runtime.arun(lambda services: get_user_usage(services, user_id))

    async def track_usage(self, user_id: str, model: str, usage: object, metadata: Metadata = None) -> Tracked:
        """As `UsageTracker.track_usage`."""
        return await self._runtime.arun(lambda services: track_usage(services, user_id, model, usage, metadata))
