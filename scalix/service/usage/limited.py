"""`GET /scalix/v1/reports/limited`: whom a limit has refused on a day, and what they have done since."""

from collections.abc import Mapping
from dataclasses import dataclass

from scalix.domain.errors import BadRequest
from scalix.domain.identity.subjects import user_subject
from scalix.domain.ledger.ledger import name_of, name_word
from scalix.domain.ledger.people import AFTER_DAYS, BACK, LEFT, Person
from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.limits.quota import ANY_LIMIT
from scalix.service.policy_source import PolicySource
from scalix.service.queries import date_of, day_index, one_of, refuse_unknown_parameters, whole_number
from scalix.store.ledger.redis_figures import FiguresStore
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.quota.redis_limits import WORD_OF_LIMIT, limit_of_word

_A_PAGE, _MOST = 50, 100
_LONGEST_NAME = 1_024
_USERS = user_subject("")
_CAME_BACK, _LEFT, _UPGRADED = "came back", "left", "upgraded"


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedUser:
    """One whom the limit has refused: by what `limits` that day, in which tier, and what they have done until now, in
    the week from then on: `upgraded` to another paid tier, else `came back` on a later day, else `left`. `user_id` is
    `None` of who has none: an anonymous address."""

    subject: str
    user_id: str | None
    tier: str
    limits: list[str]
    since: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limited:
    """Some of those whom `limit` has refused on `date`, and where the next page begins; `None` at the end."""

    date: str
    limit: str
    users: list[LimitedUser]
    next_cursor: str | None


@dataclass(frozen=True, eq=False)
class LimitedUsers:
    """The use case."""

    ledger: LedgerReader
    figures: FiguresStore
    policy: PolicySource

    async def page(self, query: Mapping[str, str]) -> Limited:
        """A page of `page_size` from `cursor` on. Raises `BadRequest`, `StoreUnavailable`."""
        refuse_unknown_parameters(query, {"day", "limit", "cursor", "page_size"})
        size = whole_number(query, "page_size", _A_PAGE, _MOST)
        limit, after = one_of(query, "limit", WORD_OF_LIMIT, ANY_LIMIT), query.get("cursor", "")
        if len(after) > _LONGEST_NAME:
            raise BadRequest("'cursor' must be one that a page has given.", param="cursor")
        now = await self.ledger.now_ms() // DAY_MS
        day = day_index(query, "day", now)
        if not now - AFTER_DAYS <= day <= now:
            message = f"'day' must be today or one of the {AFTER_DAYS} days before: of others there are numbers alone."
            raise BadRequest(message, param="day")
        found = await self.figures.limited(day, WORD_OF_LIMIT[limit], after, size + 1)
        more = found[size - 1][0] if len(found) > size else None
        users = [self._shown(day, limit, subject, person) for subject, person in found[:size]]
        return Limited(date=date_of(day), limit=limit, users=users, next_cursor=more)

    def _shown(self, day: int, limit: str, subject: str, person: Person) -> LimitedUser:
        hits = {limit_of_word(word): tier for (of_day, word), tier in person.hits.items() if of_day == day}
        since = person.since(day, hits[limit])
        free = name_word(self.policy.current.default_tier)
        said = _LEFT if since == LEFT else _CAME_BACK if since in (BACK, free) else _UPGRADED
        return LimitedUser(
            subject=subject,
            user_id=subject.removeprefix(_USERS) if subject.startswith(_USERS) else None,
            tier=name_of(hits[limit]),
            limits=sorted(hits.keys() - {ANY_LIMIT}),
            since=said,
        )
