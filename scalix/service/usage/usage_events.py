"""The ledger's events of one subject, newest first, in pages."""

import asyncio
import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, NotRequired

from scalix.domain.errors import BadRequest
from scalix.domain.failures import ErrorClass
from scalix.domain.ledger.ledger import LATER_FIELDS, Event
from scalix.domain.ledger.ledger_lines import later_figures, shown_type
from scalix.domain.limits.calendar import DAY_MS, rfc3339
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.limits.quota import Outcome
from scalix.service.administration.user_records import refuse_unknown_user
from scalix.service.described import Fields, Json
from scalix.service.identity.callers import Caller
from scalix.service.policy_source import PolicySource
from scalix.service.queries import moment_ms, one_of, refuse_unknown_parameters, whole_number
from scalix.service.usage.sums import KeyNames
from scalix.service.usage.usage import USER, UsageReading
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.records.redis_keys import KeyStore

DEFAULT_LIMIT, MOST_LIMIT = 100, 1_000
_PARAMETERS = frozenset({"limit", "cursor", "from", "to", "model", "outcome", "key", USER})
_LONGEST_CURSOR = 2_000
_AT_ONCE = 1_000
EVENT_COLUMNS = (
    *("id", "time", "model", "model_served", "tier", "key", "key_id", "outcome", "error", "requests", "tokens"),
    *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens", "estimated", "cost_usd", "latency_ms"),
    *("first_token_ms", "stream", "cache_hit", "fallbacks"),
    *(one.name for one in LATER_FIELDS if not one.is_operators),
)
_AS_THEY_ARE = (
    *("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    *("latency_ms", "first_token_ms", "cache_hit"),
)
_EVENT = Fields(
    {str: "id time model outcome", str | None: "model_served tier key key_id error", list[str]: "fallbacks"},
    {int: "requests tokens", float: "charge_usd cost_usd", bool: "estimated stream"},
    {NotRequired[str | None]: "provider price_version", NotRequired[float]: "provider_cost_usd"},
    *({shown_type(name): name} for name in _AS_THEY_ARE),
    *(
        {NotRequired[shown_type(one.name)] if one.is_operators else shown_type(one.name): one.name}
        for one in LATER_FIELDS
    ),
)
ShownEvent = Annotated[Json, _EVENT]
OPERATORS_COLUMNS = (
    *("provider", "provider_cost_usd", "price_version"),
    *(one.name for one in LATER_FIELDS if one.is_operators),
)
LAST_COLUMNS = ("charge_usd",)  # behind all that were there before, whose places stay
_OUTCOMES = tuple(outcome.value for outcome in Outcome)
# That our own account at a provider is at fault is told to the operator alone.
_OURS = frozenset({ErrorClass.AUTH.value, ErrorClass.PROVIDER_QUOTA.value})

Place = tuple[int, str]  # where an event stands in the order: admitted at (ms), and its id
BEFORE_ALL: Place = (2**62, "")


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Some events as they are shown, and where the next page begins; `None` when there is nothing more."""

    events: list[ShownEvent]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class _Filter:
    first_ms: int
    end_ms: int
    model: str | None
    outcome: str | None
    key: str | None

    def takes(self, event: Event, key_alias: Callable[[str], str | None]) -> bool:
        return (
            self.first_ms <= event.admitted_ms < self.end_ms
            and self.model in (None, event.detail.model, event.detail.served)
            and self.outcome in (None, event.outcome)
            and (self.key is None or self.key in (event.key_id, key_alias(event.key_id)))
        )


@dataclass(frozen=True, eq=False)
class UsageEvents:
    """The use case behind `GET /scalix/v1/usage/events`."""

    ledger: LedgerReader
    usage: UsageReading
    policy: PolicySource
    keys: KeyStore

    async def page(self, caller: Caller, query: Mapping[str, str]) -> EventsPage:
        """Up to `limit` events that the filters take, from `cursor` on. Raises `BadRequest`, `NotPermitted`,
        `UserNotFound`, `StoreUnavailable`.

        An event is written when its request ends and stands at the time of its admission, so a page that has been read
        never changes by requests that come later.
        """
        refuse_unknown_parameters(query, _PARAMETERS)
        limit = whole_number(query, "limit", DEFAULT_LIMIT, MOST_LIMIT)
        if "outcome" in query:
            one_of(query, "outcome", _OUTCOMES, "")
        before = place_of(query["cursor"]) if "cursor" in query else BEFORE_ALL
        first_ms, end_ms = moment_ms(query, "from"), moment_ms(query, "to", is_end=True)
        if first_ms is not None and end_ms is not None and first_ms >= end_ms:
            raise BadRequest("'from' must be earlier than 'to'.", param="from")
        whose = await self.usage.whose(caller, query)
        now_ms = await self.ledger.now_ms()
        oldest_ms = now_ms - self.policy.current.retention.events_days * DAY_MS
        names = KeyNames(whose.subject, self.keys)
        wanted = _Filter(
            max(first_ms or 0, oldest_ms),
            2**62 if end_ms is None else end_ms,
            *(query.get(name) for name in ("model", "outcome", "key")),
        )
        found: list[Event] = []
        # An instance whose clock is ahead may have written into tomorrow.
        newest_ms = min(wanted.end_ms, before[0], now_ms + DAY_MS)
        async for event in self._newest_first(str(whose.subject), newest_ms, wanted.first_ms):
            await names.learn(event.key_id)
            if (event.admitted_ms, event.request_id) < before and wanted.takes(event, names.alias):
                found.append(event)
                if len(found) > limit:
                    break
        if whose.record is not None and not found:
            # The operator has named a user: one that there is not must not pass for one that asks for nothing.
            refuse_unknown_user(whose.record, (await self.usage.use(whose)).tallies)
        rows = [shown_event(event, names.name(event.key_id), whose.is_operators_view) for event in found[:limit]]
        last = found[limit - 1] if len(found) > limit else None
        return EventsPage(rows, cursor_of(last) if last else None)

    async def _newest_first(self, subject: str, newest_ms: int, oldest_ms: int) -> AsyncIterator[Event]:
        for day in range(newest_ms // DAY_MS, oldest_ms // DAY_MS - 1, -1):
            for number, event in enumerate(reversed(await self.ledger.events(subject, day))):
                if not number % _AT_ONCE:
                    await asyncio.sleep(0)  # a filter that little fits goes through many
                yield event


def shown_event(event: Event, key: str | None, is_operators_view: bool) -> ShownEvent:
    """An event as its user sees it: `charge_usd`, of before `cost_usd`, is what is billed. The operator sees what the
    provider takes, too."""
    detail = event.detail
    error = detail.error if is_operators_view else shown_error(detail.error)
    shown = {
        "id": event.request_id,
        "time": f"{rfc3339(event.admitted_ms)[:-1]}.{event.admitted_ms % 1000:03d}Z",
        "model": detail.model,
        "model_served": detail.served or None,
        "tier": detail.tier or None,
        "key": key,
        "key_id": event.key_id or None,
        "outcome": event.outcome,
        "error": error or None,
        "requests": event.requests,
        "tokens": event.tokens,
        **{name: getattr(detail, name) for name in _AS_THEY_ARE},
        "estimated": event.estimated,
        "charge_usd": detail.charge_nano_usd / NANO_USD_PER_USD,
        "cost_usd": detail.charge_nano_usd / NANO_USD_PER_USD,
        "stream": detail.streamed,
        "fallbacks": list(detail.fallbacks),
        **later_figures(event, is_operators_view=is_operators_view),
    }
    if is_operators_view:
        shown["provider"] = detail.provider or None
        shown["provider_cost_usd"] = detail.cost_nano_usd / NANO_USD_PER_USD
        shown["price_version"] = detail.price_version or None
    return shown


def shown_error(error: str) -> str:
    """The class of an error as users are told it."""
    return ErrorClass.PROVIDER_DOWN.value if error in _OURS else error


def cursor_of(event: Event) -> str:
    """The place after an event, as a word that means nothing to anybody else."""
    return urlsafe_b64encode(f"{event.admitted_ms} {event.request_id}".encode()).decode().rstrip("=")


def place_of(cursor: str) -> Place:
    """The place that a cursor names. Raises `BadRequest`."""
    try:
        if not cursor.isascii() or len(cursor) > _LONGEST_CURSOR:
            raise ValueError
        padded = cursor + "=" * (-len(cursor) % 4)
        time_ms, _, request_id = urlsafe_b64decode(padded.encode()).decode().partition(" ")
        if not time_ms.isascii() or not time_ms.isdigit() or len(time_ms) > 15 or not request_id:
            raise ValueError
    except (ValueError, binascii.Error):
        message = "'cursor' must be a 'next_cursor' of an earlier page, as it was given."
        raise BadRequest(message, param="cursor") from None
    return int(time_ms), request_id
