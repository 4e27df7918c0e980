"""The ledger's events of one subject, newest first, in pages, and how an event is shown."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, NotRequired

from scalix.domain.failures import ErrorClass
from scalix.domain.identity.subjects import user_subject
from scalix.domain.ledger.ledger import LATER_FIELDS, Event
from scalix.domain.ledger.ledger_lines import later_figures, shown_type
from scalix.domain.limits.calendar import rfc3339
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.service.administration.user_records import refuse_unknown_user
from scalix.service.described import Fields, Json
from scalix.service.identity.callers import Caller
from scalix.service.policy_source import PolicySource
from scalix.service.queries import refuse_unknown_parameters
from scalix.service.usage.event_search import SEARCHED_BY, Found, Search, found, search_of
from scalix.service.usage.usage import USER, UsageReading, Whose
from scalix.store.ledger.redis_requests import Place, RequestReader
from scalix.store.records.redis_keys import KeyStore

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
EVENT = Fields(
    {str: "id time model outcome", str | None: "model_served tier key key_id error", list[str]: "fallbacks"},
    {int: "requests tokens", float: "charge_usd cost_usd", bool: "estimated stream"},
    {NotRequired[str | None]: "provider price_version", NotRequired[float]: "provider_cost_usd"},
    *({shown_type(name): name} for name in _AS_THEY_ARE),
    *(
        {NotRequired[shown_type(one.name)] if one.is_operators else shown_type(one.name): one.name}
        for one in LATER_FIELDS
    ),
)
ShownEvent = Annotated[Json, EVENT]
OPERATORS_COLUMNS = (
    *("provider", "provider_cost_usd", "price_version"),
    *(one.name for one in LATER_FIELDS if one.is_operators),
)
LAST_COLUMNS = ("charge_usd",)  # behind all that were there before, whose places stay
# That our own account at a provider is at fault is told to the operator alone.
_OURS = frozenset({ErrorClass.AUTH.value, ErrorClass.PROVIDER_QUOTA.value})


@dataclass(frozen=True, slots=True)
class EventsPage:
    """Some events as they are shown, and where the next page begins; `None` when there is nothing more."""

    events: list[ShownEvent]
    next_cursor: str | None


@dataclass(frozen=True, eq=False)
class UsageEvents:
    """The use case behind `GET /scalix/v1/usage/events`."""

    ledger: RequestReader
    usage: UsageReading
    policy: PolicySource
    keys: KeyStore

    async def page(self, caller: Caller, query: Mapping[str, str]) -> EventsPage:
        """Up to `limit` events that the filters take, from `cursor` on. Raises `BadRequest`, `NotPermitted`,
        `UserNotFound`, `StoreUnavailable`.

        An event is written when its request ends and stands at the time of its admission, so a page that has been read
        never changes by requests that come later.
        """
        refuse_unknown_parameters(query, SEARCHED_BY | {USER})
        # What makes no sense is told before anything is read.
        search = search_of(query, await self.ledger.now_ms(), self.policy.current.retention.events_days)
        whose = await self.usage.whose(caller, query)
        page = await self.of(whose, search)
        names = await key_names(self.keys, page.events)
        rows = [shown_event(event, names.get(event.key_id), whose.is_operators_view) for event in page.events]
        return EventsPage(rows, page.next_cursor)

    async def of(self, whose: Whose, search: Search) -> Found:
        """The events of one subject. Raises `UserNotFound`, `StoreUnavailable`."""
        subject = str(whose.subject)
        search = await with_key_id(search, self.keys, subject)

        async def read(before: Place, oldest_ms: int, most: int) -> list[Event]:
            return await self.ledger.newest_of(subject, before, oldest_ms, most)

        page = await found(search, read, str if whose.is_operators_view else shown_error)
        if whose.record is not None and not page.events:
            # The operator has named a user: one that there is not must not pass for one that asks for nothing.
            refuse_unknown_user(whose.record, (await self.usage.use(whose)).tallies)
        return page


async def with_key_id(search: Search, keys: KeyStore, subject: str | None = None) -> Search:
    """The search with the id of the key that has the alias which it names, of this subject or of anybody. Raises
    `StoreUnavailable`."""
    record = await keys.find_alias(search.key) if search.key else None
    if record is None or subject not in (None, user_subject(record.user_id)):
        return search
    return replace(search, key_id=record.key_id)


async def key_names(keys: KeyStore, events: Iterable[Event]) -> dict[str, str]:
    """What the virtual keys of events are called, by their ids: the alias, else the end of the secret. One that has
    been deleted has no name. Raises `StoreUnavailable`."""
    users = {event.key_id: event.subject.removeprefix(user_subject("")) for event in events if event.key_id}
    records = await keys.some(list(users.items()))
    return {one.key_id: one.alias or f"sk-...{one.last_four}" for one in records}


def shown_moment(at_ms: int) -> str:
    """A moment to the ms."""
    return f"{rfc3339(at_ms)[:-1]}.{at_ms % 1000:03d}Z"


def shown_event(event: Event, key: str | None, is_operators_view: bool) -> ShownEvent:
    """An event as its user sees it: `charge_usd`, of before `cost_usd`, is what is billed. The operator sees what the
    provider takes, too."""
    detail = event.detail
    error = detail.error if is_operators_view else shown_error(detail.error)
    shown = {
        "id": event.request_id,
        "time": shown_moment(event.admitted_ms),
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
