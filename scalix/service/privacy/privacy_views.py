"""What an export shows of one person: every figure in words that say their unit."""

from dataclasses import asdict
from typing import Annotated, Any, get_type_hints

from scalix.domain.ledger.ledger import Detail, Event, Summary, Sums, name_of
from scalix.domain.ledger.people import Stay as TierStay
from scalix.domain.limits.calendar import DAY_MS, rfc3339, window_end_ms
from scalix.domain.limits.limits import NANO_USD_PER_USD, Metric
from scalix.service.described import Fields, Json
from scalix.service.queries import date_of
from scalix.store.base import UserRecord
from scalix.store.privacy.redis_personal_data import PersonalData
from scalix.store.quota.redis_limits import limit_of_word
from scalix.store.records.redis_sign_ins import SignIn

_IN_USD = {"cost_nano_usd": "cost_usd", "charge_nano_usd": "charge_usd", "nano_usd": "spend_usd"}


def _in_usd_of(figures: type[Any]) -> Fields:
    kinds = get_type_hints(figures).items()
    named = ({float: _IN_USD[name]} if name in _IN_USD else {kind: name} for name, kind in kinds)
    return Fields(*named, {float: "provider_cost_usd"})


_RECORD = Fields(
    {str: "created_at updated_at", str | None: "tier tokens_valid_after", bool: "blocked metadata_is_readable"},
    {dict[str, Any]: "limits", dict[str, Any] | None: "metadata", dict[str, str]: "revoked_tokens"},
)
ShownRecord = Annotated[Json, _RECORD]
_AMOUNTS = [name for metric in Metric for name in (metric.value, metric.reserved)]
Counter = Annotated[Json, Fields({str: "window ends_at", float: _AMOUNTS})]
InFlight = Annotated[Json, Fields({str: "id admitted_at"})]
Balance = Annotated[Json, Fields({float: "usd held_usd"})]
Credit = Annotated[Json, Fields({str: "id at", float: "usd"})]
Stay = Annotated[Json, Fields({str: "tier", str | None: "first_day", list[str]: "days"})]
Hit = Annotated[Json, Fields({str: "day limit tier"})]
_EVENT = Fields({str: "id at outcome", str | None: "key_id", int: "requests tokens", float: "spend_usd"})
ShownEvent = Annotated[Json, Fields(_EVENT, {bool: "estimated"}, _in_usd_of(Detail))]
ShownSummary = Annotated[Json, Fields({str: "day model tier", str | None: "key_id"}, _in_usd_of(Sums))]
SHOWN_DATA = Fields(
    {list[Counter]: "counters", dict[str, str]: "adjustments", list[InFlight]: "requests_in_flight"},
    {str | None: "address_merged_at", Balance | None: "balance", list[Credit]: "credits"},
    {list[ShownEvent]: "events", list[ShownSummary]: "summaries", list[Stay]: "seen", list[Hit]: "refused_by_limits"},
)


ShownSignIn = Annotated[Json, Fields({str: "at ends_at by address"})]


def shown_sign_in(one: SignIn) -> ShownSignIn:
    """A browser in which the user is signed in to the pages."""
    return {"at": rfc3339(one.at_ms), "ends_at": rfc3339(one.ends_ms), "by": one.by, "address": one.address}


def shown_record(record: UserRecord) -> ShownRecord | None:
    """The user's record; `None` without one."""
    if not record.exists:
        return None
    return {
        "tier": record.tier,
        "blocked": record.blocked,
        "limits": record.limits,
        "metadata": record.metadata if record.sealed_metadata is None else None,
        "metadata_is_readable": record.sealed_metadata is None,
        "tokens_valid_after": rfc3339(record.tokens_valid_after_ms) if record.tokens_valid_after_ms else None,
        "revoked_tokens": {digest: rfc3339(ends_s * 1000) for digest, ends_s in record.revoked_tokens.items()},
        "created_at": rfc3339(record.created_ms),
        "updated_at": rfc3339(record.updated_ms),
    }


def shown_data(data: PersonalData) -> dict[str, Any]:
    """Counters, ledger and balance."""
    return {
        "counters": [
            {
                "window": window.value,
                "ends_at": rfc3339(window_end_ms(window, index)),
                **{metric.value: metric.unit.shown(tally.used(metric)) for metric in Metric},
                **{metric.reserved: metric.unit.shown(tally.held(metric)) for metric in Metric},
            }
            for (window, index), tally in data.windows.items()
        ],
        "adjustments": dict(data.adjustments),
        "requests_in_flight": [
            {"id": request_id, "admitted_at": rfc3339(at_ms)} for request_id, at_ms in data.in_flight.items()
        ],
        "address_merged_at": rfc3339(data.merged_ms) if data.merged_ms else None,
        "balance": data.balance
        and {"usd": _usd(data.balance.get("nano", 0)), "held_usd": _usd(data.balance.get("held", 0))},
        "credits": [
            {"id": credit.credit_id, "usd": _usd(credit.nano_usd), "at": rfc3339(credit.at_ms)}
            for credit in data.credits
        ],
        "events": [_event(event) for event in data.events],
        "summaries": [_summary(summary) for summary in data.summaries],
        "seen": [_stay(tier, stay) for tier, stay in data.person.tiers.items()] if data.person else [],
        "refused_by_limits": [_hit(*hit, tier) for hit, tier in data.person.hits.items()] if data.person else [],
    }


def _stay(tier: str, stay: TierStay) -> Stay:
    """The first day of all (`None`: before anybody noted it), and the days of late."""
    first_day = date_of(stay.first) if stay.first else None
    return {"tier": name_of(tier), "first_day": first_day, "days": [date_of(day) for day in sorted(stay.days)]}


def _hit(day: int, limit: str, tier: str) -> Hit:
    return {"day": date_of(day), "limit": limit_of_word(limit), "tier": name_of(tier)}


def _event(event: Event) -> ShownEvent:
    return {
        "id": event.request_id,
        "at": rfc3339(event.admitted_ms),
        "key_id": event.key_id or None,
        "outcome": event.outcome,
        "requests": event.requests,
        "tokens": event.tokens,
        "estimated": event.estimated,
        **_in_usd({**asdict(event.detail), "nano_usd": event.nano_usd}),
    }


def _summary(summary: Summary) -> ShownSummary:
    day, sums = rfc3339(summary.day * DAY_MS)[:10], _in_usd(asdict(summary.sums))
    return {"day": day, "model": summary.model, "tier": summary.tier, "key_id": summary.key_id or None, **sums}


def _in_usd(figures: dict[str, Any]) -> dict[str, Any]:
    shown = {_IN_USD.get(name, name): _usd(value) if name in _IN_USD else value for name, value in figures.items()}
    return {**shown, "provider_cost_usd": shown["cost_usd"]}  # which is here the name of before


def _usd(nano_usd: int) -> float:
    return nano_usd / NANO_USD_PER_USD
