"""The audit log: what operators did and who was refused, and whether the log is whole."""

import json
from collections.abc import Mapping
from typing import Any

from scalix.domain.ledger.audit_check import ChainCheck
from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.audit.audit_log import AuditLog
from scalix.service.audit.audit_reading import AuditReading

# A check reads the log from its first entry on. One that is longer is checked by the command, which may take its time.
_MOST_CHECKED = 20_000
_A_TIME = 1_000


async def _entries(services: Services, asked: PageRequest) -> Context:
    query = {("before" if name == "cursor" else name): value for name, value in asked.query.items()}
    found = await services[AuditReading].page(query)
    return {"entries": [{**one, "what": _what(one)} for one in found["entries"]], "cursor": found["next_before"]}


def _what(entry: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What an entry says beside who, when and of whom, by names."""
    parts = {name: entry[name] for name in ("before", "after") if entry.get(name)}
    return [
        (name, json.dumps(value, ensure_ascii=False))
        for name, value in {**parts, **(entry.get("details") or {})}.items()
    ]


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
