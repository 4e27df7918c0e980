"""The operators' routes of the ledger: how full it is, whether it is whole, and what mends and keeps it."""

from collections.abc import Awaitable
from typing import Any

from scalix.edge.rows import Row
from scalix.service.ledger.ledger_administration import ArchiveNow, LedgerAdministration, Repair
from scalix.store.connection.deadline import grant_store_time

_STORE_TIME_MS = 3_600_000.0


def _patiently(work: Awaitable[Any]) -> Awaitable[Any]:
    # Millions of events may be read here, and nobody's request waits for that.
    grant_store_time(_STORE_TIME_MS)
    return work


_LEDGER = "/scalix/v1/ledger"
LEDGER_ROWS: tuple[Row[LedgerAdministration], ...] = (
    Row("GET", _LEDGER, lambda ledger, asked: _patiently(ledger.status())),
    Row(
        "GET",
        f"{_LEDGER}/verify",
        lambda ledger, asked: _patiently(ledger.verify(asked.query)),
        query=("day", "user_id"),
    ),
    Row(
        "POST", f"{_LEDGER}/repair", lambda ledger, asked: _patiently(ledger.repair(asked.body, asked.by)), body=Repair
    ),
    Row(
        "POST",
        f"{_LEDGER}/archive",
        lambda ledger, asked: _patiently(ledger.archive(asked.body, asked.by)),
        body=ArchiveNow,
    ),
    Row(
        "GET", f"{_LEDGER}/export", lambda ledger, asked: _patiently(ledger.export(asked.query)), query=("day", "shard")
    ),
)
