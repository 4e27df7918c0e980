"""`GET /scalix/v1/reports/…`: the operator's reports."""

from scalix.edge.asgi import Scope
from scalix.edge.operator_routes import operator_of
from scalix.edge.queries import query_of
from scalix.edge.routes import Own, report_in
from scalix.edge.tables import Page, format_of, json_page, rows_page
from scalix.service.identity.identity import Identity
from scalix.service.usage.reporting import Reporting


class ReportRoutes:
    """Answers the operator."""

    def __init__(self, identity: Identity, reporting: Reporting) -> None:
        self._identity = identity
        self._reporting = reporting

    async def answer(self, target: Own, scope: Scope) -> Page:
        """The answer to one request. Raises `GatewayError`s, `StoreUnavailable`."""
        await operator_of(self._identity, scope)
        query = query_of(scope)
        shape = format_of(scope, query, ("json", "csv", "jsonl"))
        report = await self._reporting.report(report_in(scope["path"]), query)
        if shape == "json":
            return json_page(report.as_json())
        return rows_page(report.rows, report.columns, shape)
