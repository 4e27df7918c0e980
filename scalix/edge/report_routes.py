"""`GET /scalix/v1/reports/…`: the operator's reports."""

from scalix.edge.rows import Request, Row
from scalix.edge.tables import Page, format_of, json_page, rows_page
from scalix.service.usage.report_names import REPORTS
from scalix.service.usage.reporting import Reporting, ShownReport

_REPORTS = "/scalix/v1/reports/"
_ALWAYS = ("from", "to", "format")
_QUERIES = {"user": ("user_id",), "key": ("user_id",), "top": ("by", "limit")}


async def _report(reporting: Reporting, asked: Request) -> Page:
    query = asked.query
    shape = format_of(asked.scope, query, ("json", "csv", "jsonl"))
    report = await reporting.report(asked.scope["path"].removeprefix(_REPORTS), query)
    if shape == "json":
        return json_page(report.as_json())
    return rows_page(report.rows, report.columns, shape)


REPORT_ROWS: tuple[Row[Reporting], ...] = tuple(
    Row("GET", _REPORTS + name, _report, query=(*_ALWAYS, *_QUERIES.get(name, ())), gives=ShownReport)
    for name in REPORTS
)
