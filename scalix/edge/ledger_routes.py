"""The operators' routes of the ledger: how full it is, whether it is whole, and what mends and keeps it."""

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

from scalix.edge.rows import BODY, BY, QUERY, Part, Request, Row, calls
from scalix.service.ledger.ledger_administration import ArchiveNow, LedgerAdministration, Repair
from scalix.store.connection.deadline import grant_store_time

_STORE_TIME_MS = 3_600_000.0


def _patiently(method: Callable[..., Awaitable[Any]], *parts: Part) -> Callable[[Any, Request], Awaitable[Any]]:
    answer = calls(method, *parts)

    @wraps(method)
    def answer_patiently(service: Any, asked: Request) -> Awaitable[Any]:
        # Millions of events may be read here, and nobody's request waits for that.
        grant_store_time(_STORE_TIME_MS)
        return answer(service, asked)

    return answer_patiently


_LEDGER = "/scalix/v1/ledger"
LEDGER_ROWS: tuple[Row[LedgerAdministration], ...] = (
    Row("GET", _LEDGER, _patiently(LedgerAdministration.status)),
    Row("GET", f"{_LEDGER}/verify", _patiently(LedgerAdministration.verify, QUERY), query=("day", "user_id")),
    Row("POST", f"{_LEDGER}/repair", _patiently(LedgerAdministration.repair, BODY, BY), body=Repair),
    Row("POST", f"{_LEDGER}/archive", _patiently(LedgerAdministration.archive, BODY, BY), body=ArchiveNow),
    Row("GET", f"{_LEDGER}/export", _patiently(LedgerAdministration.export, QUERY), query=("day", "shard")),
)
