"""What operators read of the audit log: pages for people, and the bare chain for those who check it."""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NotRequired

import orjson

from scalix.domain.ledger.audit_chain import Link
from scalix.domain.limits.calendar import rfc3339
from scalix.service.audit.audit_names import AuditNames
from scalix.service.described import Fields, Json
from scalix.service.queries import refuse_unknown_parameters, whole_number
from scalix.store.records.redis_audit import AuditStore

DEFAULT_LIMIT, MOST_LIMIT = 50, 500
MOST_CHAIN_LIMIT = 1_000
# A filter that nothing fits must not read the whole log in one request; the answer says where to go on.
_BATCH, _MOST_READ = 1_000, 10_000
_MOST_SEQ = 2**53
_YEAR_10000_MS = 253_402_300_800_000
_PAGE_FIELDS = frozenset({"limit", "before", "actor", "act", "object"})
_CHAIN_FIELDS = frozenset({"limit", "after"})
_ENTRY = Fields(
    {int: "seq", str: "hash", bool: "signed", str | None: "time", NotRequired[int]: "time_ms"},
    {NotRequired[str]: "act actor address request_id object", NotRequired[dict[str, Any]]: "before after details"},
)
ShownEntry = Annotated[Json, _ENTRY]
AuditPage = Annotated[Json, Fields({list[ShownEntry]: "entries", int | None: "next_before"})]
AuditChain = Annotated[Json, Fields({list[Link]: "entries", int: "given_seq"})]


class AuditReading:
    """The use cases behind `GET /scalix/v1/audit` and `GET /scalix/v1/audit/chain`."""

    def __init__(self, store: AuditStore, names: AuditNames) -> None:
        self._store = store
        self._names = names

    async def page(self, query: Mapping[str, str]) -> AuditPage:
        """The newest entries, newest first: up to `limit`, of numbers less than `before`, by `actor`, by `act` (or all
        whose name begins with it and a dot) and by `object`, each by the names that are known of pseudonyms.
        `next_before` is where the next page begins, or null.

        Raises `BadRequest`, `StoreUnavailable`.
        """
        refuse_unknown_parameters(query, _PAGE_FIELDS)
        limit = whole_number(query, "limit", DEFAULT_LIMIT, MOST_LIMIT)
        before = whole_number(query, "before", 0, _MOST_SEQ) or None
        found: list[dict[str, Any]] = []
        read = 0
        while read < _MOST_READ:
            batch = await self._store.before(before, _BATCH)
            for link, entry in zip(batch, await self._entries(batch), strict=True):
                before = link.seq
                if _fits(entry, query):
                    found.append(_shown(link, entry))
                    if len(found) == limit:
                        return {"entries": found, "next_before": before}
            read += len(batch)
            if len(batch) < _BATCH:
                return {"entries": found, "next_before": None}
        return {"entries": found, "next_before": before}

    async def chain(self, query: Mapping[str, str]) -> AuditChain:
        """Entries as they are kept, oldest first: up to `limit`, of numbers greater than `after`. `given_seq` is the
        number that the store gave last. Raises `BadRequest`, `StoreUnavailable`."""
        refuse_unknown_parameters(query, _CHAIN_FIELDS)
        limit = whole_number(query, "limit", MOST_CHAIN_LIMIT, MOST_CHAIN_LIMIT)
        links = await self._store.after(whole_number(query, "after", 0, _MOST_SEQ, least=0), limit)
        head = await self._store.head()
        return {"entries": links, "given_seq": head.given_seq}

    async def about(self, user_id: str) -> list[ShownEntry]:
        """Every entry about a user, oldest first. Raises `StoreUnavailable`."""
        # Entries of old name users as they are.
        signs = {json.dumps(f"user:{user_id}"), *await self._names.of_user(user_id)}
        found: list[dict[str, Any]] = []
        after = 0
        while batch := await self._store.after(after, _BATCH):
            after = batch[-1].seq
            meant = [link for link in batch if any(sign in link.text for sign in signs)]
            found += [_shown(link, entry) for link, entry in zip(meant, await self._entries(meant), strict=True)]
        return found

    async def _entries(self, links: Sequence[Link]) -> list[dict[str, Any]]:
        return await self._names.shown(link.entry for link in links)


def _fits(entry: Mapping[str, Any], query: Mapping[str, str]) -> bool:
    act, wanted = str(entry.get("act")), query.get("act")
    return (
        ("actor" not in query or entry.get("actor") == query["actor"])
        and ("object" not in query or entry.get("object") == query["object"])
        and (wanted is None or act == wanted or act.startswith(f"{wanted}."))
    )


def _shown(link: Link, entry: dict[str, Any]) -> ShownEntry:
    try:
        orjson.dumps(entry)
    except TypeError:
        entry = {}  # text of somebody else's, which no JSON of ours can carry
    time_ms = entry.get("time_ms")
    readable = isinstance(time_ms, int) and 0 <= time_ms < _YEAR_10000_MS
    return {
        **entry,
        "seq": link.seq,
        "time": rfc3339(time_ms) if readable and isinstance(time_ms, int) else None,
        "hash": link.hash,
        "signed": link.is_keyed,
    }
