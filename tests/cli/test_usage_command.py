"""`scalix usage` and `scalix report`: what they ask the gateway for, and how they show it."""

import argparse
from typing import Any

import pytest

from scalix.cli import main
from scalix.cli.columns import shown_amount
from scalix.cli.session import Session, WrongUsage
from scalix.service.usage.report_names import REPORTS

OVERVIEW: dict[str, Any] = {
    "user_id": "ann",
    "tier": "free",
    "requests_today": 1_234,
    "tokens_today": 5,
    "charge_today_usd": 0.0000125,
    "requests_this_hour": 2,
    "balance_usd": -0.5,
    "limits": [
        {
            "limit": "requests-hour",
            "limit_value": 10,
            "used": 2,
            "reserved": 0,
            "remaining": 8,
            "reset_at": "2026-01-01T00:00:00Z",
        }
    ],
    "by_day": [],
    "by_model": [{"model": "[red]gpt\x1b[31m", "requests": 1, "tokens": 5, "charge_usd": 0.25}],
}


class Asked(Session):
    """Answers with one thing, and remembers what it was asked for."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.asked: list[tuple[str, dict[str, str]]] = []

    def get(self, path: str, **query: Any) -> Any:
        self.asked.append((path, query))
        return self.answer

    def page(self, path: str, **query: str) -> tuple[str, str | None]:
        self.asked.append((path, query))
        return "a,b\r\n1,2\r\n", self.answer


def run(session: Session, *arguments: str) -> None:
    options: argparse.Namespace = main._parser().parse_args(arguments)
    options.run(options, session)


@pytest.mark.parametrize(
    ("arguments", "path", "query"),
    [
        (["usage"], "/scalix/v1/usage", {}),
        (["usage", "ann", "--days", "7"], "/scalix/v1/usage", {"user_id": "ann", "days": "7"}),
        (["usage", "--user", "events"], "/scalix/v1/usage", {"user_id": "events"}),
        (["usage", "events"], "/scalix/v1/usage/events", {}),
        (["usage", "events", "ann", "--limit", "5"], "/scalix/v1/usage/events", {"user_id": "ann", "limit": "5"}),
        (
            ["usage", "--from", "2026-01-01", "--outcome", "success", "events", "ann"],
            "/scalix/v1/usage/events",
            {"user_id": "ann", "from": "2026-01-01", "outcome": "success"},
        ),
        (["report", "day", "--from", "2026-01-01"], "/scalix/v1/reports/day", {"from": "2026-01-01"}),
        (["report", "user", "ann"], "/scalix/v1/reports/user", {"user_id": "ann"}),
        (["report", "top", "--by", "cost", "--limit", "3"], "/scalix/v1/reports/top", {"by": "cost", "limit": "3"}),
    ],
)
def test_a_command_asks_for_what_it_names(arguments: list[str], path: str, query: dict[str, str]) -> None:
    session = Asked({**OVERVIEW, "events": [], "next_cursor": None, "rows": [], "columns": ["a"]} | _REPORT)
    run(session, *arguments, "--json")
    assert session.asked == [(path, query)]


_REPORT = {"report": "day", "from": "2026-01-01", "to": "2026-01-02"}


def test_an_overview_is_a_line_and_tables_without_markup(capsys: pytest.CaptureFixture[str]) -> None:
    run(Asked(OVERVIEW), "usage", "ann")
    out = capsys.readouterr().out
    assert out.startswith("ann, tier free: 1,234 requests and 5 tokens today, charge $0.000013; 2 requests this hour")
    assert "balance $-0.5" in out
    assert "requests-hour" in out
    assert "[red]gpt?[31m" in out
    assert "by day" not in out


def test_events_say_where_the_next_page_begins(capsys: pytest.CaptureFixture[str]) -> None:
    event = {"id": "r1", "time": "2026-01-01T00:00:00.000Z", "model_served": None, "tokens": 5, "charge_usd": 0.0}
    run(Asked({"events": [event], "next_cursor": "abc"}), "usage", "events", "ann")
    out = capsys.readouterr().out
    assert "r1" in out
    assert "more: --cursor abc" in out
    run(Asked({"events": [], "next_cursor": None}), "usage", "events", "ann")
    assert capsys.readouterr().out == "no requests\n"


def test_a_report_has_its_total_last(capsys: pytest.CaptureFixture[str]) -> None:
    columns = ["date", "requests", "margin_usd"]
    rows = [{"date": "2026-01-01", "requests": 1_000, "margin_usd": -0.25}]
    answer = {**_REPORT, "columns": columns, "rows": rows, "total": {"requests": 1_000, "margin_usd": -0.25}}
    run(Asked(answer), "report", "day")
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert lines[0] == ["day,", "2026-01-01", "to", "2026-01-02"]
    assert lines[-2:] == [["2026-01-01", "1,000", "-0.25"], ["total", "1,000", "-0.25"]]
    run(Asked({**answer, "rows": []}), "report", "day")
    assert capsys.readouterr().out == "day, 2026-01-01 to 2026-01-02: nothing\n"


@pytest.mark.parametrize("arguments", [["usage", "events", "ann"], ["report", "day"]])
def test_csv_is_printed_as_it_came(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    session = Asked(None)
    run(session, *arguments, "--csv")
    assert session.asked[0][1]["format"] == "csv"
    assert capsys.readouterr() == ("a,b\r\n1,2\r\n", "")


def test_a_file_of_csv_does_not_pass_for_all_events(capsys: pytest.CaptureFixture[str]) -> None:
    run(Asked("abc"), "usage", "events", "ann", "--csv")
    assert capsys.readouterr() == ("a,b\r\n1,2\r\n", "more: --cursor abc\n")


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["usage", "ann", "ben"], "name one user"),
        (["usage", "ann", "--user", "ben"], "name one user"),
        (["usage", "ann", "--model", "x"], "--model is for single requests"),
        (["usage", "events", "ann", "--days", "3"], "--days is not for events"),
    ],
)
def test_what_makes_no_sense_is_refused(arguments: list[str], what: str) -> None:
    with pytest.raises(WrongUsage, match=what):
        run(Asked(OVERVIEW), *arguments)


def test_every_report_has_a_command() -> None:
    for name in REPORTS:
        user = ["ann"] if name in ("user", "key") else []
        assert main._parser().parse_args(["report", name, *user]).report == name


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1_234_567, "1,234,567"), (0.1 + 0.2, "0.3"), (-12_345.5, "-12,345.5"), (None, "-"), ("", "-")],
)
def test_figures_are_easy_to_read(value: Any, text: str) -> None:
    assert shown_amount(value) == text
