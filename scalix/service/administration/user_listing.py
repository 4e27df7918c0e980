"""Which users a list is asked for: in LiteLLM's pages, by their names, or by cursor in the order of their names."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.service.described import Fields
from scalix.service.queries import date_of, refuse_unknown_parameters, whole_number
from scalix.store.base import UserRecord
from scalix.store.quota.redis_limits import Glance
from scalix.store.records.redis_users import UserStore

DEFAULT_PAGE_SIZE, MOST_PAGE_SIZE, MOST_PAGES = 25, 100, 1_000_000
_PARAMETERS = frozenset({"page", "page_size", "user_ids", "cursor", "prefix"})
_LONGEST_NAME = 320

GLANCE = Fields({int: "requests_today tokens_today", float: "spend_today_usd", str | None: "last_seen_on"})
"""What a list says of a user's use."""


@dataclass(frozen=True, slots=True)
class UserList:
    """Some users of `total`. `next_cursor` is where the next page by name begins."""

    records: list[UserRecord]
    total: int
    page: int
    size: int
    next_cursor: str | None = None


async def listed(store: UserStore, query: Mapping[str, str]) -> UserList:
    """What a query asks for. Raises `BadRequest`, `StoreUnavailable`."""
    refuse_unknown_parameters(query, _PARAMETERS)
    page = whole_number(query, "page", 1, MOST_PAGES)
    size = whole_number(query, "page_size", DEFAULT_PAGE_SIZE, MOST_PAGE_SIZE)
    first = (page - 1) * size
    if "cursor" in query or "prefix" in query:
        return await _by_name(store, query, size)
    if query.get("user_ids"):
        wanted = sorted({name.strip() for name in query["user_ids"].split(",") if name.strip()})
        if len(wanted) > MOST_PAGE_SIZE:
            raise BadRequest(f"'user_ids' names more than {MOST_PAGE_SIZE} users.", param="user_ids")
        known = [await store.get(checked_user_id(name, "user_ids")) for name in wanted]
        known = [record for record in known if record.exists]
        return UserList(known[first : first + size], len(known), page, size)
    total, records = await store.page(first, size)
    return UserList(records, total, page, size)


async def _by_name(store: UserStore, query: Mapping[str, str], size: int) -> UserList:
    after, prefix = (query.get(name, "") for name in ("cursor", "prefix"))
    for name, text in (("cursor", after), ("prefix", prefix)):
        if len(text) > _LONGEST_NAME:
            raise BadRequest(f"'{name}' is longer than a user's name can be.", param=name)
    found = await store.after(after, prefix, size + 1)
    more = found[size - 1].user_id if len(found) > size else None
    return UserList(found[:size], await store.count(), 1, size, more)


def shown_glance(glance: Glance) -> dict[str, Any]:
    """As `GLANCE` says."""
    return {
        "requests_today": glance.today.requests_used,
        "tokens_today": glance.today.tokens_used,
        "spend_today_usd": glance.today.nano_usd_used / NANO_USD_PER_USD,
        "last_seen_on": date_of(glance.last_day) if glance.last_day else None,
    }
