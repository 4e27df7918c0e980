"""Requests, newest first: everybody's for the operator, their own for all others; and one of them with its attempts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

from scalix.domain.errors import RequestNotFound
from scalix.domain.identity.subjects import user_subject
from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.calendar import DAY_MS, rfc3339
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.domain.requests.request_ids import made_at_ms
from scalix.service.described import Fields, Json
from scalix.service.identity.callers import Caller
from scalix.service.queries import refuse_unknown_parameters
from scalix.service.usage.event_search import SEARCHED_BY, Found, Search, found, search_of
from scalix.service.usage.usage import USER
from scalix.service.usage.usage_events import (
    EVENT,
    UsageEvents,
    key_names,
    shown_event,
    shown_moment,
    with_key_id,
)

_NO_SUCH = "There is no request '{}'{}."
_ATTEMPT = Fields({str: "deployment", str | None: "engine error"})
Attempt = Annotated[Json, _ATTEMPT]
_REQUEST = Fields(EVENT, {str: "user_id"})
ShownRequest = Annotated[Json, _REQUEST]
OneRequest = Annotated[Json, Fields(_REQUEST, {str: "ended_at", NotRequired[list[Attempt]]: "attempts"})]


@dataclass(frozen=True, slots=True)
class RequestsPage:
    """Some requests, and where the next page begins; `None` when there is nothing more. `searched_until` is the time
    down to which was searched, where a filter that little fits has ended the page before it was full."""

    requests: list[ShownRequest]
    next_cursor: str | None
    searched_until: str | None


@dataclass(frozen=True, eq=False)
class Requests:
    """The use cases behind `GET /scalix/v1/requests` and `/scalix/v1/requests/{request}`."""

    events: UsageEvents

    async def page(self, caller: Caller, query: Mapping[str, str]) -> RequestsPage:
        """Up to `limit` requests that the filters take, from `cursor` on: of the user that the operator names, else of
        everybody; of other callers their own. Raises `BadRequest`, `NotPermitted`, `UserNotFound`, `StoreUnavailable`.
        """
        refuse_unknown_parameters(query, SEARCHED_BY | {USER})
        search = search_of(query, await self.events.ledger.now_ms(), self._kept_days)
        if caller.may_name_users and USER not in query:
            page = await self._everybodys(search)
        else:
            page = await self.events.of(await self.events.usage.whose(caller, query), search)
        names = await key_names(self.events.keys, page.events)
        rows = [_shown(one, names.get(one.key_id), caller.may_name_users) for one in page.events]
        return RequestsPage(rows, page.next_cursor, None if page.searched_ms is None else rfc3339(page.searched_ms))

    async def one(self, caller: Caller, request_id: str, query: Mapping[str, str]) -> OneRequest:
        """One request. The operator names its user too, where the id does not tell when it was made. Raises
        `BadRequest`, `NotPermitted`, `RequestNotFound`, `StoreUnavailable`."""
        refuse_unknown_parameters(query, {USER})
        if caller.may_name_users and USER not in query:
            event = await self._of_anybody(request_id)
        else:
            whose = await self.events.usage.whose(caller, query)
            today = await self.events.ledger.now_ms() // DAY_MS
            days = range(today + 1, today - self._kept_days - 1, -1)
            event = await self.events.ledger.of_id(str(whose.subject), request_id, days)
        if event is None:
            raise _not_found(request_id, " among those that are kept in the store")
        names = await key_names(self.events.keys, [event])
        shown = _shown(event, names.get(event.key_id), caller.may_name_users)
        shown["ended_at"] = shown_moment(event.admitted_ms + event.detail.latency_ms)
        if caller.may_name_users:
            shown["attempts"] = _attempts(event)
        return shown

    async def _everybodys(self, search: Search) -> Found:
        search = await with_key_id(search, self.events.keys)
        return await found(search, self.events.ledger.newest, str)

    async def _of_anybody(self, request_id: str) -> Event | None:
        made_ms, now_ms = made_at_ms(request_id), await self.events.ledger.now_ms()
        if made_ms is None or not 0 <= now_ms + DAY_MS - made_ms <= (self._kept_days + 2) * DAY_MS:
            raise _not_found(request_id, ", or its id does not tell when it was made: name its user too, by 'user_id'")
        return await self.events.ledger.find(request_id, made_ms)

    @property
    def _kept_days(self) -> int:
        return self.events.policy.current.retention.events_days


def _not_found(request_id: str, why: str) -> RequestNotFound:
    return RequestNotFound(_NO_SUCH.format(shown_text(request_id, 100), why), param="request")


def _shown(event: Event, key: str | None, is_operators_view: bool) -> ShownRequest:
    prefix = user_subject("")
    return {**shown_event(event, key, is_operators_view), "user_id": event.subject.removeprefix(prefix)}


def _attempts(event: Event) -> list[Attempt]:
    """What was asked, one after another; the last one has answered, unless it has an error."""
    failed = (attempt.rsplit(":", 2) for attempt in event.detail.failed_deployments)
    attempts: list[dict[str, Any]] = [
        {"deployment": name, "engine": engine or None, "error": error} for name, engine, error in failed
    ]
    detail = event.detail
    if detail.deployment:
        attempts.append({"deployment": detail.deployment, "engine": detail.engine or None, "error": None})
    return attempts
