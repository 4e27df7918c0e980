"""The audit trail in the store: chained entries, a line in the log for each, and their end by age."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from scalix.domain.ledger.audit_chain import TRIMMED, Head, Link, Sealer, entry_text
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.audit.audit import Act, Actor
from scalix.service.audit.audit_names import AuditNames
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.records.redis_audit import AuditStore

TRIM_EVERY_S = 3_600.0
THE_GATEWAY = Actor("gateway")
_MOST_TRIES = 20
_TRIM_BATCH = 500
_MOST_BATCHES = 40

log = logging.getLogger("scalix.audit")


@dataclass(eq=False)
class AuditLog:
    """An `AuditTrail`. Every entry goes to the log too, with its number and hash, which the store has no hold of.

    Users are named by `pseudonyms`, without which they are named as they are.

    Several processes write to one log: an entry is made to follow the last one, and made anew when another was quicker.
    """

    store: AuditStore
    sealer: Sealer
    policy: PolicySource
    now_ms: Callable[[], int]
    pseudonyms: AuditNames | None = None
    _head: Head | None = field(default=None, init=False)
    _known: Head = field(default=Head(), init=False)
    _writing: asyncio.Lock = field(default_factory=asyncio.Lock, init=False)

    def __post_init__(self) -> None:
        log.setLevel(logging.INFO)

    async def record(self, act: Act) -> None:
        """Keep one act. Raises `StoreUnavailable`."""
        await self.record_all([act])

    async def record_all(self, acts: Sequence[Act]) -> None:
        """Keep several, all or none. Raises `StoreUnavailable`."""
        await self._append([await self._facts(act) for act in acts])

    async def trim(self) -> int:
        """Remove the entries that are older than retention says, at least one entry stays; how many were removed.

        What says so is an entry itself, written in the same step. To be called every hour or so.
        """
        for _ in range(_MOST_TRIES):
            removed, last = await self._older_than_retention()
            if last is None:
                return 0
            details = {"through_seq": last.seq, "through_hash": last.hash, "entries": removed}
            trimmed = Act(TRIMMED, THE_GATEWAY, "", details, object="audit")
            async with self._writing:
                # Another process that has trimmed meanwhile has also moved the end: then look again.
                if await self._try([trimmed.facts], keep_from=last.seq + 1):
                    return removed
        return 0

    async def _facts(self, act: Act) -> dict[str, Any]:
        if self.pseudonyms is None:
            return act.facts
        return await self.pseudonyms.hidden(act, self.policy.current.retention.audit_days)

    async def _older_than_retention(self) -> tuple[int, Link | None]:
        """How many entries are too old, and the last of them."""
        oldest_ms = self.now_ms() - self.policy.current.retention.audit_days * DAY_MS
        read, older, seen = 0, 0, 0
        last: Link | None = None
        for _ in range(_MOST_BATCHES):
            batch = await self.store.after(seen, _TRIM_BATCH)
            for link in batch:
                time_ms = link.entry.get("time_ms")
                if isinstance(time_ms, int) and time_ms >= oldest_ms:
                    return older, last
                read += 1
                # One whose time can't be read goes with the next that is too old.
                if isinstance(time_ms, int):
                    older, last = read, link
            if len(batch) < _TRIM_BATCH:
                break
            seen = batch[-1].seq
        return older, last

    async def _append(self, facts: Sequence[dict[str, Any]]) -> None:
        async with self._writing:
            for _ in range(_MOST_TRIES):
                if await self._try(facts):
                    return
        message = "the audit log is being written by too many at once"
        raise StoreUnavailable(message, maybe_acted=False, counts=False)

    async def _try(self, facts: Sequence[dict[str, Any]], *, keep_from: int | None = None) -> bool:
        """Append to the end as it was last seen; `False` if it has moved, and is to be read anew."""
        head = self._head or await self.store.head()
        lost = self._lost(head)
        links = self._links(head, [lost, *facts] if lost else facts)
        self._head = None  # if the next line fails, nobody knows
        if not await self.store.append(head, links, keep_from=keep_from):
            return False
        self._head = self._known = Head(links[-1].seq, links[-1].seq, links[-1].hash)
        for link in links:
            _log_entry(link)
        return True

    def _lost(self, head: Head) -> dict[str, Any] | None:
        """What to say of entries that this process knows and that the store no longer has."""
        if head.last_seq >= self._known.last_seq:
            return None
        known = self._known
        log.error(
            "the audit log has lost its end: the last entry was %d (%s), now it is %d; the store was emptied or the "
            "log was tampered with",
            *(known.last_seq, known.hash, head.last_seq),
        )
        details = {"last_known_seq": known.last_seq, "last_known_hash": known.hash}
        return {"time_ms": self.now_ms(), **Act("audit.lost", THE_GATEWAY, "", details, object="audit").facts}

    def _links(self, head: Head, facts: Sequence[dict[str, Any]]) -> list[Link]:
        links: list[Link] = []
        seq, prev, now_ms = head.given_seq, head.hash, self.now_ms()
        for one in facts:
            seq += 1
            links.append(self.sealer.seal(seq, prev, entry_text(seq, {"time_ms": now_ms, **one})))
            prev = links[-1].hash
        return links


def _log_entry(link: Link) -> None:
    """One short line; as JSON it has the whole entry."""
    entry = link.entry
    details = entry.get("details") or {}
    fields = {name: details[name] for name in ("code", "count", "path", "error") if name in details}
    fields |= {"seq": link.seq, "hash": link.hash}
    if entry.get("request_id"):
        fields["id"] = entry["request_id"]
    by = f"{entry.get('actor')} from {entry['address']}" if entry.get("address") else entry.get("actor")
    # Written as it is, the redaction of lines would take the id of a key for the key.
    what = str(entry.get("object") or "nobody known").replace("key:", "key with id ", 1)
    said = f"{entry.get('act')} of {what} by {by}"
    log.info("%s", said, extra={"fields": fields, "for_programs": entry})
