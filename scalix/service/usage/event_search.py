"""Goes through events, newest first, for those that a filter takes: a page of them, and where the next one begins.

The work for a page is bounded. A filter that little fits answers what it has found, and up to when it has searched.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from scalix.domain.errors import BadRequest
from scalix.domain.failures import ErrorClass
from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import Outcome
from scalix.service.queries import moment_ms, one_of, whole_number
from scalix.store.ledger.redis_requests import Place, place_of

DEFAULT_LIMIT, MOST_LIMIT = 100, 1_000
MOST_SEARCHED = 1_000
"""Events that are looked at for one page."""
SEARCHED_BY = frozenset({"limit", "cursor", "from", "to", "model", "outcome", "error", "key"})
_LONGEST_CURSOR = 2_000
_OUTCOMES = tuple(outcome.value for outcome in Outcome)
_ERRORS = tuple(error.value for error in ErrorClass)

Read = Callable[[Place, int, int], Awaitable[list[Event]]]
"""The newest events before a place and from a time in ms on, up to so many; fewer: there are no more."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked for: up to `limit` events after `before` in the order, which is from new to old.

    `key_id` is the id of the virtual key that is meant by `key`, where it is the alias of one.
    """

    limit: int
    before: Place
    first_ms: int
    model: str | None = None
    outcome: str | None = None
    error: str | None = None
    key: str | None = None
    key_id: str | None = None

    def takes(self, event: Event, shown_error: Callable[[str], str]) -> bool:
        """Whether an event is one of those. `shown_error` says what its error is for the one who asks."""
        return (
            self.model in (None, event.detail.model, event.detail.served)
            and self.outcome in (None, event.outcome)
            and (self.error is None or self.error == shown_error(event.detail.error))
            and (self.key is None or (event.key_id != "" and event.key_id in (self.key, self.key_id)))
        )

    @property
    def takes_all(self) -> bool:
        """Whether there is no filter but of time."""
        return self.model is self.outcome is self.error is self.key is None


@dataclass(frozen=True, slots=True)
class Found:
    """Events, and where the next page begins; `None` when there is nothing more. `searched_ms` is the time down to
    which was searched, where the page has ended before it was full."""

    events: list[Event]
    next_cursor: str | None
    searched_ms: int | None = None


def search_of(query: Mapping[str, str], now_ms: int, kept_days: int) -> Search:
    """What a query asks for, of events that are kept for so many days. Raises `BadRequest`."""
    limit = whole_number(query, "limit", DEFAULT_LIMIT, MOST_LIMIT)
    for name, words in (("outcome", _OUTCOMES), ("error", _ERRORS)):
        if name in query:
            one_of(query, name, words, "")
    first_ms, end_ms = moment_ms(query, "from"), moment_ms(query, "to", is_end=True)
    if first_ms is not None and end_ms is not None and first_ms >= end_ms:
        raise BadRequest("'from' must be earlier than 'to'.", param="from")
    # An instance whose clock is ahead may have written into tomorrow.
    before = Place(now_ms + DAY_MS if end_ms is None else min(end_ms, now_ms + DAY_MS), "")
    if "cursor" in query:
        before = min(before, cursor_place(query["cursor"]))
    filters = {name: query.get(name) for name in ("model", "outcome", "error", "key")}
    return Search(limit, before, max(first_ms or 0, now_ms - kept_days * DAY_MS), **filters)


async def found(search: Search, read: Read, shown_error: Callable[[str], str]) -> Found:
    """What the search finds, in steps of bounded size. Raises what `read` does."""
    events: list[Event] = []
    before, looked_at = search.before, 0
    most = max(MOST_SEARCHED, search.limit + 1)
    step = search.limit + 1 if search.takes_all else most
    while looked_at < most:
        some = await read(before, search.first_ms, step)
        for event in some:
            if search.takes(event, shown_error):
                events.append(event)
                if len(events) > search.limit:
                    return Found(events[: search.limit], cursor_of(place_of(events[search.limit - 1])))
        looked_at += len(some)
        if len(some) < step:
            return Found(events, None)
        before = place_of(some[-1])
    return Found(events, cursor_of(before), before.admitted_ms)


def cursor_of(place: Place) -> str:
    """The place after an event, as a word that means nothing to anybody else."""
    return urlsafe_b64encode(f"{place.admitted_ms} {place.request_id}".encode()).decode().rstrip("=")


def cursor_place(cursor: str) -> Place:
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
    return Place(int(time_ms), request_id)
