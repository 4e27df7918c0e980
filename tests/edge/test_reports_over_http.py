"""The operator's reports through the edge: from sums, and the operator's alone."""

import csv
import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.limits.quota import Outcome
from scalix.service.usage.report_names import REPORTS
from tests.edge.limits_rig import Instance
from tests.edge.usage_rig import DAY_MS, client_of, key_for, now_ms, settle


@pytest.fixture
async def a(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Instance]:
    instance = Instance(store_url, tmp_path, key_prefix, "worker")
    yield instance
    await instance.close()


async def report(a: Instance, name: str, **query: Any) -> dict[str, Any]:
    answer = await a.http.get(f"/scalix/v1/reports/{name}", params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def date(at_ms: int) -> str:
    return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d")


async def a_few_days(a: Instance) -> int:
    """Requests of two users on two days. Returns the time of the later ones."""
    at_ms = await now_ms(a)
    gpt: dict[str, Any] = {"model": "gpt-4", "served": "gpt-4", "tier": "premium", "provider": "openai"}
    claude: dict[str, Any] = {"model": "gpt-4", "served": "claude", "tier": "premium", "provider": "anthropic"}
    await settle(a, "ann", at_ms=at_ms, tokens=100, cost=1_000_000_000, charge=1_500_000_000, **gpt)
    await settle(a, "ben", at_ms=at_ms, tokens=10, cost=500_000_000, charge=0, tier="free", model="free", served="free")
    await settle(a, "ann", at_ms=at_ms - DAY_MS, tokens=50, cost=2_000_000_000, charge=2_500_000_000, **claude)
    for number in range(2):
        await settle(
            a,
            "ben",
            at_ms=at_ms - number * DAY_MS,
            tokens=0,
            cost=0,
            charge=0,
            outcome=Outcome.PROVIDER_FAILED,
            error="timeout" if number else "",
            **gpt,
        )
    return at_ms


def column(found: dict[str, Any], *names: str) -> list[tuple[Any, ...]]:
    return [tuple(row[name] for name in names) for row in found["rows"]]


async def test_sums_by_day_tier_model_and_provider(a: Instance) -> None:
    at_ms = await a_few_days(a)
    by_day = await report(a, "day")
    assert column(by_day, "date", "tokens", "provider_cost_usd", "charge_usd", "margin_usd") == [
        (date(at_ms - DAY_MS), 50, 2.0, 2.5, 0.5),
        (date(at_ms), 110, 1.5, 1.5, 0.0),
    ]
    assert (by_day["total"]["tokens"], by_day["total"]["charge_usd"], by_day["total"]["margin_usd"]) == (160, 4.0, 0.5)
    assert column(await report(a, "tier"), "tier", "tokens") == [("free", 10), ("premium", 150)]
    assert column(await report(a, "model"), "model", "tokens") == [("claude", 50), ("free", 10), ("gpt-4", 100)]
    assert column(await report(a, "provider"), "provider", "tokens") == [("anthropic", 50), ("openai", 110)]
    assert column(await report(a, "model", **{"from": date(at_ms)}), "model") == [("free",), ("gpt-4",)]
    yesterday = date(at_ms - DAY_MS)
    assert column(await report(a, "day", **{"from": yesterday, "to": yesterday}), "date") == [(yesterday,)]


async def test_the_margin_is_the_charge_less_the_cost(a: Instance) -> None:
    await a_few_days(a)
    found = await report(a, "margin")
    assert column(found, "tier", "model", "margin_usd", "margin_percent") == [
        ("free", "free", -0.5, None),
        ("premium", "claude", 0.5, 20.0),
        ("premium", "gpt-4", 0.5, 33.33),
    ]
    assert (found["total"]["charge_usd"], found["total"]["provider_cost_usd"], found["total"]["margin_usd"]) == (
        4.0,
        3.5,
        0.5,
    )


async def test_errors_are_told_by_model_and_class_with_their_rate(a: Instance) -> None:
    await a_few_days(a)
    found = await report(a, "errors")
    assert column(found, "provider", "model", "error", "errors", "events", "error_rate") == [
        ("openai", "gpt-4", "timeout", 1, 3, 0.333333),
        ("openai", "gpt-4", "unclassified", 1, 3, 0.333333),
    ]
    assert found["total"] == {"errors": 2, "events": 5, "error_rate": 0.4, "failed_attempts": 0}


async def test_the_users_that_use_most(a: Instance) -> None:
    await a_few_days(a)
    assert column(await report(a, "top"), "rank", "user_id", "tokens") == [(1, "ann", 150), (2, "ben", 10)]
    found = await report(a, "top", by="cost", limit=1)
    assert column(found, "rank", "user_id", "provider_cost_usd") == [(1, "ann", 3.0)]
    assert "total" not in found


async def test_one_user_by_day_and_by_key(a: Instance) -> None:
    at_ms = await a_few_days(a)
    found = await report(a, "user", user_id="ann")
    assert column(found, "date", "model", "tier", "charge_usd") == [
        (date(at_ms - DAY_MS), "claude", "premium", 2.5),
        (date(at_ms), "gpt-4", "premium", 1.5),
    ]
    key = await key_for(a, "ann", key_alias="laptop")
    record = await a.core.usage.reporting.keys.find(key["token"])
    assert record
    await settle(a, "ann", at_ms=at_ms, tokens=7, key_id=record.key_id)
    by_key = await report(a, "key", user_id="ann")
    assert column(by_key, "key", "key_id", "tokens") == [(None, "", 150), ("laptop", record.key_id, 7)]
    assert (await report(a, "user", user_id="nobody"))["rows"] == []


async def test_a_report_is_csv_where_that_is_asked_for(a: Instance) -> None:
    await a_few_days(a)
    answer = await a.http.get("/scalix/v1/reports/margin", params={"format": "csv"})
    rows = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert [(row["model"], row["margin_usd"], row["margin_percent"]) for row in rows] == [
        ("free", "-0.5", ""),
        ("claude", "0.5", "20"),
        ("gpt-4", "0.5", "33.33"),
    ]


@pytest.mark.parametrize("name", REPORTS)
async def test_reports_are_the_operators_alone(a: Instance, name: str) -> None:
    key = await key_for(a, "ann")
    for token, status in ((key["key"], 403), ("sk-wrong", 401), (None, 401)):
        async with client_of(a, token) as client:
            answer = await client.get(f"/scalix/v1/reports/{name}", params={"user_id": "ann"})
            assert answer.status_code == status


@pytest.mark.parametrize(
    ("name", "query", "param"),
    [
        ("day", "from=2026-13-01", "from"),
        ("day", "to=today", "to"),
        ("day", "from=2026-01-01T00:00:00Z", "from"),
        ("day", "from=9999-01-01", "from"),
        ("day", "user_id=ann", "user_id"),
        ("user", "", "user_id"),
        ("key", "user_id=", "user_id"),
        ("top", "by=requests", "by"),
        ("top", "limit=1001", "limit"),
        ("margin", "format=pdf", "format"),
        ("tier", "days=3", "days"),
    ],
)
async def test_a_wrong_query_is_one_clear_400(a: Instance, name: str, query: str, param: str) -> None:
    answer = await a.http.get(f"/scalix/v1/reports/{name}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_there_is_no_other_report(a: Instance) -> None:
    for name in ("", "users", "DAY", "day//"):
        assert (await a.http.get(f"/scalix/v1/reports/{name}")).status_code == 404


async def test_today_is_the_operators_and_has_the_money_of_the_day(a: Instance) -> None:
    await a_few_days(a)
    today, by_day = await report(a, "today"), await report(a, "day")
    (row,) = [row for row in by_day["rows"] if row["date"] == today["date"]]
    names = ("requests", "provider_cost_usd", "charge_usd", "margin_usd")
    assert {name: today["day"][name] for name in names} == {name: row[name] for name in names}
    assert (today["day"]["active_users"], len(today["series"]), today["series"][-1]) == (2, 30, today["day"])
    rows = list(csv.DictReader(io.StringIO((await a.http.get("/scalix/v1/reports/today?format=csv")).text)))
    assert (len(rows), rows[-1]["active_users"]) == (30, "2")
    async with client_of(a, (await key_for(a, "ann"))["key"]) as ann:
        assert (await ann.get("/scalix/v1/reports/today")).status_code == 403


@pytest.mark.parametrize("query", [{"day": "yesterday"}, {"day": "9998-01-01"}, {"from": "2026-01-01"}])
async def test_today_refuses_a_day_that_makes_no_sense(a: Instance, query: dict[str, str]) -> None:
    answer = await a.http.get("/scalix/v1/reports/today", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, *query)


@pytest.mark.parametrize(
    "query",
    [
        {"day": "yesterday"},
        {"day": "2026-01-01"},
        {"limit": "cakes-day"},
        {"cursor": "x" * 2_000},
        {"page_size": "101"},
        {"user": "ann"},
    ],
)
async def test_whom_a_limit_refused_is_asked_for_of_days_and_limits_that_there_are(
    a: Instance, query: dict[str, str]
) -> None:
    answer = await a.http.get("/scalix/v1/reports/limited", params=query)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, *query)
