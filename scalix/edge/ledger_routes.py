"""The operators' routes of the ledger: how full it is, whether it is whole, and what mends and keeps it."""

from typing import Any

from scalix.edge.asgi import Receive, Scope
from scalix.edge.bodies import read_json
from scalix.edge.queries import query_of
from scalix.edge.routes import Own
from scalix.service.audit.audit import Actor
from scalix.service.ledger.ledger_administration import LedgerAdministration
from scalix.store.connection.deadline import grant_store_time

_STORE_TIME_MS = 3_600_000.0

LEDGER_ROUTES = frozenset({Own.LEDGER, Own.LEDGER_VERIFY, Own.LEDGER_REPAIR, Own.LEDGER_ARCHIVE, Own.LEDGER_EXPORT})


class LedgerRoutes:
    """Answers with plain data. Who asks has been found to be the operator."""

    def __init__(self, ledger: LedgerAdministration) -> None:
        self._ledger = ledger

    async def answer(self, target: Own, scope: Scope, receive: Receive, by: Actor) -> Any:
        """The answer to one request. Raises `GatewayError`s, `StoreUnavailable`."""
        # Millions of events may be read here, and nobody's request waits for that.
        grant_store_time(_STORE_TIME_MS)
        match target:
            case Own.LEDGER_VERIFY:
                return await self._ledger.verify(query_of(scope))
            case Own.LEDGER_REPAIR:
                return await self._ledger.repair(await read_json(scope, receive), by)
            case Own.LEDGER_ARCHIVE:
                return await self._ledger.archive(await read_json(scope, receive), by)
            case Own.LEDGER_EXPORT:
                return await self._ledger.export(query_of(scope))
        return await self._ledger.status()
