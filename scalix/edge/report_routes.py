"""`GET /scalix/v1/reports/…`: the operator's reports."""

from dataclasses import fields

from scalix.edge.rows import Request, Row
from scalix.edge.tables import Page, format_of, json_page, rows_page
from scalix.service.usage.limited import Limited, LimitedUsers
from scalix.service.usage.report_names import REPORTS
from scalix.service.usage.reporting import Reporting, ShownReport
from scalix.service.usage.today import DayFigures, Today
from scalix.service.usage.todays_figures import TodaysFigures
from scalix.store.connection.deadline import PATIENT_MS, grant_store_time

_REPORTS = "/scalix/v1/reports/"
_ALWAYS = ("from", "to", "format")
_QUERIES = {"user": ("user_id",), "key": ("user_id",), "top": ("by", "limit")}
_OF_A_DAY = tuple(one.name for one in fields(DayFigures) if one.name != "tiers")


async def _report(reporting: Reporting, asked: Request) -> Page:
    grant_store_time(PATIENT_MS)
    query = asked.query
    shape = format_of(asked.scope, query, ("json", "csv", "jsonl"))
    report = await reporting.report(asked.scope["path"].removeprefix(_REPORTS), query)
    if shape == "json":
        return json_page(report.as_json())
    return rows_page(report.rows, report.columns, shape)


async def _limited(users: LimitedUsers, asked: Request) -> Limited:
    grant_store_time(PATIENT_MS)
    return await users.page(asked.query)


async def _today(figures: TodaysFigures, asked: Request) -> Page:
    grant_store_time(PATIENT_MS)
    query = asked.query
    shape = format_of(asked.scope, query, ("json", "csv", "jsonl"))
    today = await figures.today(query)
    if shape == "json":
        return json_page(today)
    return rows_page([{name: getattr(day, name) for name in _OF_A_DAY} for day in today.series], _OF_A_DAY, shape)


REPORT_ROWS: tuple[Row[Reporting], ...] = tuple(
    Row("GET", _REPORTS + name, _report, query=(*_ALWAYS, *_QUERIES.get(name, ())), gives=ShownReport)
    for name in REPORTS
)
TODAY_ROWS: tuple[Row[TodaysFigures], ...] = (
    Row("GET", f"{_REPORTS}today", _today, query=("day", "format"), gives=Today),
)
LIMITED_ROWS: tuple[Row[LimitedUsers], ...] = (
    Row("GET", f"{_REPORTS}limited", _limited, query=("day", "limit", "cursor", "page_size")),
)
