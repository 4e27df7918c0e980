"""The audit log: what operators did and who was refused, and whether the log is whole."""

import json
from collections.abc import Mapping
from typing import Any

from scalix.domain.ledger.audit_check import ChainCheck
from scalix.domain.limits.calendar import rfc3339
from scalix.pages.rows import A_PAGE, Context, PageRequest, Role, Services, page
from scalix.service.audit.audit_log import AuditLog
from scalix.service.audit.audit_reading import AuditReading

# A check reads the log from its first entry on. One that is longer is checked by the command, which may take its time.
_MOST_CHECKED = 20_000
_A_TIME = 1_000
_NOTHING: tuple[Any, ...] = (None, "", [], {}, False)


async def _entries(services: Services, asked: PageRequest) -> Context:
    query = {("before" if name == "cursor" else name): value for name, value in asked.query.items()}
    found = await services[AuditReading].page({**query, "limit": A_PAGE})
    return {"entries": [_shown(one) for one in found["entries"]], "cursor": found["next_before"]}


def _shown(entry: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: entry.get(name) for name in ("seq", "time", "act", "object", "actor", "address")}
    is_bad = any(word in str(told["act"]) for word in (".failed", "refused"))
    return {**told, "tone": "bad" if is_bad else "", "what": _what(entry)}


def _what(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What an entry says beside who, when and of whom: what has changed, and its details, by names."""
    before, after = entry.get("before") or {}, entry.get("after") or {}
    told = []
    for name in {**before, **after}:
        was, now = before.get(name), after.get(name)
        if was != now and not (was in _NOTHING and now in _NOTHING):
            told.append((name, f"{_text(was)} → {_text(now)}" if name in before else _text(now)))
    for name, value in (entry.get("details") or {}).items():
        is_time = name.endswith("_ms") and isinstance(value, int)
        told.append((name.removesuffix("_ms"), rfc3339(value)) if is_time else (name, _text(value)))
    return told


def _text(value: Any) -> str:
    return value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)


async def _checked(services: Services, asked: PageRequest) -> Context:
    reading, chain, after, read = services[AuditReading], ChainCheck(services[AuditLog].sealer), 0, 0
    while True:
        found = await reading.chain({"after": str(after), "limit": str(_A_TIME)})
        for link in found["entries"]:
            chain.take(link)
            after = max(after, link.seq)
        read += len(found["entries"])
        if not found["entries"]:
            return {"report": chain.finish(found["given_seq"]), "read": read}
        if read >= _MOST_CHECKED:
            return {"report": None, "read": read}


AUDIT_ROWS = (
    page("/ui/audit", Role.OPERATOR, _entries, "operator/audit.html", "Audit"),
    page("/ui/audit/check", Role.OPERATOR, _checked, "operator/audit_check.html"),
)
