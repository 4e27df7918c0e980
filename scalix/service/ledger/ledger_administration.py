"""What operators do with the ledger: see how full it is, check it, mend it, write old days to files, read a day."""

from collections.abc import Awaitable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, NotRequired, TypeVar

from scalix.domain.errors import BadRequest, StoreIsDown
from scalix.domain.identity.subjects import SHARDS, Subject, shard_of
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.ledger.books import SHARD_PARTS, Difference, Part, Texts
from scalix.domain.ledger.ledger_lines import event_fields, named_types
from scalix.domain.limits.calendar import DAY_MS, HOUR_MS, rfc3339
from scalix.service.audit.audit import Act, Actor, AuditTrail, recorded
from scalix.service.bodies import FLAG, TEXT, USER_ID, ReadBy, RequestBody, refuse_unknown_fields
from scalix.service.described import Fields, Json
from scalix.service.ledger.archive import Archive, ArchiveFailed
from scalix.service.ledger.store_memory import StoreMemory
from scalix.service.ledger.verification import Findings, LedgerCheck
from scalix.service.policy_source import PolicySource
from scalix.store.ledger.archive_files import day_index, day_text
from scalix.store.ledger.redis_ledger_repair import Listing, RedisBooks

MOST_SHOWN = 1_000
_AT_ONCE = 200
_LISTING_MS = 60_000
_Read = TypeVar("_Read")


MOST_AFTER_DAYS = 3_650


def _after_days(value: Any, name: str) -> int | None:
    if value is not None and (
        not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= MOST_AFTER_DAYS
    ):
        raise BadRequest(f"'after_days' must be a whole number from 1 to {MOST_AFTER_DAYS}.", param="after_days")
    return value


def _user_or_all(value: Any, name: str) -> str | None:
    return None if value is None else checked_user_id(value, name)


AnyUser = Annotated[str | None, ReadBy(_user_or_all, {"anyOf": [USER_ID, {"type": "null"}]})]


class WhatToCheck(RequestBody):
    """A day in UTC, today if none is named, of one user or of all."""

    day: Annotated[str | None, ReadBy(lambda value, name: None if value is None else str(value), TEXT)] = None
    user_id: AnyUser = None


class Repair(WhatToCheck):
    """With `dry_run`, nothing is written."""

    dry_run: Annotated[bool, ReadBy(lambda value, name: bool(value), FLAG)] = False


class ArchiveNow(RequestBody):
    """How old days are that go to files, where the config does not say it."""

    after_days: Annotated[
        int | None, ReadBy(_after_days, {"type": ["integer", "null"], "minimum": 1, "maximum": MOST_AFTER_DAYS})
    ] = None


_STORE = Fields({int: "used_bytes percent", int | None: "limit_bytes", bool: "limit_is_maxmemory alarm"})
_FILE = Fields({str: "day file"})
_STATUS = Fields(
    {Annotated[Json, _STORE]: "store", dict[str, int | None]: "retention"},
    {list[Annotated[Json, _FILE]]: "archived", dict[str, str]: "archived_elsewhere"},
)
LedgerStatus = Annotated[Json, _STATUS]
ShownDifference = Annotated[Json, Fields({str: "where what field", str | None: "found right", NotRequired[str]: "why"})]
_FINDINGS = Fields(
    {str: "day from", bool: "whole", int: "subjects events difference_count mended"},
    {list[ShownDifference]: "differences left", list[str]: "moving"},
)
ShownFindings = Annotated[Json, _FINDINGS]
ArchivedDay = Annotated[Json, Fields(_FILE, {int: "events removed"})]
ArchivedDays = Annotated[Json, Fields({list[ArchivedDay]: "archived"})]
_EVENT = Fields({str: "subject id"})
LedgerEvent = Annotated[Json, Fields(_EVENT, *({kind: name} for name, kind in named_types()))]
UnreadableEvent = Annotated[Json, Fields(_EVENT, {str: "unreadable"})]
LedgerEvents = Annotated[Json, Fields({list[LedgerEvent | UnreadableEvent]: "events"})]


@dataclass(eq=False)
class LedgerAdministration:
    """The use cases behind `/scalix/v1/ledger…`."""

    books: RedisBooks
    check: LedgerCheck
    old_days: Archive
    memory: StoreMemory
    policy: PolicySource
    audit: AuditTrail
    _listing: tuple[int, int, Listing] | None = field(default=None, init=False)

    async def status(self) -> LedgerStatus:
        """How full the store is, and which days are in files. Raises `StoreUnavailable`."""
        latest = await self.memory.read()
        files = self.old_days.files
        kept = self.policy.current.retention
        return {
            "store": {
                "used_bytes": latest.used_bytes,
                "limit_bytes": latest.limit_bytes or None,
                "limit_is_maxmemory": latest.is_configured,
                "percent": latest.percent,
                "alarm": bool(self.memory.alarm_percent),
            },
            "retention": {name: days for name, days in asdict(kept).items() if name != "audit_days"},
            "archived": [{"day": day_text(day), "file": str(files.path(day))} for day in files.days()],
            "archived_elsewhere": {day_text(day): host for day, host in (await self.old_days.elsewhere()).items()},
        }

    async def verify(self, query: Mapping[str, str]) -> ShownFindings:
        """Compare a day's counters and sums with its events. Raises `BadRequest`, `StoreUnavailable`."""
        day, subject, archived = await self._asked(WhatToCheck.read(query))
        return _shown(await self.check.verify(day, subject, archived=archived), archived is not None)

    async def repair(self, body: Repair, by: Actor) -> ShownFindings:
        """Write what the events say into counters and sums; with `dry_run`, only say what that would be.

        Raises `BadRequest`, `StoreUnavailable`.
        """
        day, subject, archived = await self._asked(body)
        if archived is not None:
            raise BadRequest(
                "That day is in the archive: its counters are settled, and only verify reads it.", param="day"
            )
        found = await self.check.verify(day, subject, counts_all=True)
        if body.dry_run or not found.differences:
            return _shown(found, False)
        details: dict[str, Any] = {"day": day_text(day), "differences": len(found.differences)}
        details["differ"] = [_row(one) for one in found.differences[:20]]
        act = Act("ledger.repair", by, "", details, object=f"ledger:{day_text(day)}")
        async with recorded(self.audit, act):
            return _shown(await self.check.repair(day, subject), False)

    async def archive(self, body: ArchiveNow, by: Actor) -> ArchivedDays:
        """Write old days to files now. Raises `BadRequest`, `StoreUnavailable`, `StoreIsDown`."""
        after = body.after_days
        if after is None and self.policy.current.retention.archive_after_days is None:
            message = "Say what is old: 'after_days', or scalix.retention.archive_after_days in the config."
            raise BadRequest(message, param="after_days")
        act = Act("ledger.archive", by, "", {"after_days": after}, object="ledger")
        async with recorded(self.audit, act):
            done = await _readable_archive(self.old_days.archive(None if after is None else after + 1))
        if done is None:
            raise BadRequest("Another process is writing the archive now; try again in a while.", param="after_days")
        return {
            "archived": [
                {"day": day_text(one.day), "events": one.events, "removed": one.removed, "file": one.path}
                for one in done
            ]
        }

    async def export(self, query: Mapping[str, str]) -> LedgerEvents:
        """The events of a day and one of the 256 shards, from the store and this machine's files together.

        Raises `BadRequest`, `StoreUnavailable`, `StoreIsDown`.
        """
        refuse_unknown_fields(query, frozenset({"day", "shard"}))
        today = await self._today()
        day = _day(query.get("day"), today)
        text = query.get("shard", "")
        if not text.isascii() or not text.isdigit() or len(text) > 3 or int(text) >= SHARDS:
            raise BadRequest(f"'shard' must be a whole number from 0 to {SHARDS - 1}.", param="shard")
        shard = int(text)
        archived = await self._archived(day, today) or {}
        found = {subject: dict(texts) for subject, texts in archived.items() if shard_of(subject) == shard}
        subjects = sorted((await self._listed(day)).subjects.get(shard, ()))
        for start in range(0, len(subjects), _AT_ONCE):
            _, kept = await self.books.shard(shard, day, subjects[start : start + _AT_ONCE])
            for subject, texts in kept.items():
                found[subject] = found.get(subject, {}) | dict(texts)
        return {
            "events": [
                event_fields(subject, request_id, text)
                for subject in sorted(found)
                for request_id, text in found[subject].items()
            ]
        }

    async def _listed(self, day: int) -> Listing:
        """Whom the store knows; an export asks 256 times, and reads all names of keys once."""
        now_ms = await self.books.now_ms()
        if self._listing is None or self._listing[0] != day or now_ms - self._listing[1] > _LISTING_MS:
            self._listing = day, now_ms, await self.books.listing(day)
        return self._listing[2]

    async def _today(self) -> int:
        return await self.books.now_ms() // DAY_MS

    async def _asked(self, what: WhatToCheck) -> tuple[int, str | None, dict[str, Texts] | None]:
        """The day, the subject or `None` for all, and the events if they are in a file."""
        today = await self._today()
        day = _day(what.day, today)
        subject = None if what.user_id is None else str(Subject("user", what.user_id))
        return day, subject, await self._archived(day, today)

    async def _archived(self, day: int, today: int) -> dict[str, Texts] | None:
        """The events of a day if they are in a file here; `None`: in the store. Raises `BadRequest` for neither."""
        archived = await _readable_archive(self.old_days.read(day))
        if archived is not None:
            return archived
        host = (await self.old_days.elsewhere()).get(day)
        if host is not None:
            raise BadRequest(f"The events of that day are in a file on {host}: ask the gateway there.", param="day")
        kept = self.policy.current.retention.events_days
        if day < today - kept:
            raise BadRequest(f"The events of that day are no longer kept: retention is {kept} days.", param="day")
        return None


async def _readable_archive(reading: Awaitable[_Read]) -> _Read:
    try:
        return await reading
    except ArchiveFailed as error:
        raise StoreIsDown(f"{str(error).capitalize()}.", reason=str(error)) from None


def _day(text: str | None, today: int) -> int:
    if text is None:
        return today
    try:
        day = day_index(text)
    except ValueError:
        raise BadRequest("'day' must be a date such as 2026-11-01, in UTC.", param="day") from None
    if not 0 <= day <= today:
        raise BadRequest("'day' must not be in the future.", param="day")
    return day


def _shown(findings: Findings, is_archived: bool) -> ShownFindings:
    return {
        "day": day_text(findings.day),
        "from": "archive" if is_archived else "store",
        "whole": not findings.differences,
        "subjects": findings.subjects,
        "events": findings.events,
        "differences": [_row(one) for one in findings.differences[:MOST_SHOWN]],
        "difference_count": len(findings.differences),
        "moving": findings.moving[:MOST_SHOWN],
        "mended": findings.mended,
        "left": [_row(one) for one in findings.left[:MOST_SHOWN]],
    }


PART_NAMES: Mapping[Part, str] = {
    "windows": "window",
    "summaries": "user's sum",
    "events_in_time": "user's list by time",
    "person": "user's days",
    "hours": "sum by hour",
    "days": "sum by day",
    "tokens": "ranking by tokens",
    "cost": "ranking by cost",
    "first_bytes": "first bytes",
    "people": "users of the day",
    "in_time": "list by time",
}
"""What operators are told of each part."""
_WINDOW_NAMES = {"h": ("hour", HOUR_MS), "d": ("day", DAY_MS)}


def _row(difference: Difference) -> ShownDifference:
    return {
        "where": difference.where if difference.part not in SHARD_PARTS else f"shard {difference.where}",
        "what": PART_NAMES[difference.part] if difference.part else "event",
        "field": _readable(difference),
        "found": difference.found,
        "right": difference.right,
        **({"why": difference.why} if difference.why else {}),
    }


def _readable(difference: Difference) -> str:
    """`hour 2026-11-01T17:00:00Z` for a window, and a sum's day or hour likewise; other fields as they are."""
    name, part = difference.field, difference.part
    if part == "windows" and name[0] in _WINDOW_NAMES:
        word, length_ms = _WINDOW_NAMES[name[0]]
        return f"{word} {rfc3339(int(name[1:]) * length_ms)}"
    if part == "windows":
        return f"month {int(name[1:]) // 12}-{int(name[1:]) % 12 + 1:02d}"
    if part in ("people", "person"):
        return rfc3339(int(name) * DAY_MS)
    index, space, rest = name.partition(" ")
    if part in ("hours", "days", "summaries") and space and index.isdigit():
        return f"{rfc3339(int(index) * (HOUR_MS if part == 'hours' else DAY_MS))} {rest}"
    return name
