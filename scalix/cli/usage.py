"""`scalix usage` and `scalix report`: shows what users have used, as single requests and in sums."""

import argparse
import sys
from datetime import date, timedelta
from typing import Any

from scalix.cli.acts import A_TABLE, Options, Show, add_shapes, given, tell
from scalix.cli.columns import columns_of, shown_amount
from scalix.cli.limits import COLUMNS as OF_LIMITS
from scalix.cli.limits import shown_limits
from scalix.cli.session import Session, WrongUsage
from scalix.cli.tables import print_rows, print_series, print_text
from scalix.cli.today import tell_today

EVENTS = "events"
_SUMS = (
    *("requests", "tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens"),
    "charge_usd",
)
_SERIES = ("requests", "tokens", "charge_usd")
_EVENT = (
    *("time", "id", "model_served", "deployment", "key", "outcome", "error", "tokens"),
    *("provider_cost_usd", "charge_usd"),
)
_FILTERS = {
    "limit": "how many (default 100, at most 1000)",
    "cursor": "where the page before has ended",
    "from": "from this date or time on",
    "to": "up to this date or time",
    "model": "asked for or served",
    "outcome": "such as success",
    "key": "a virtual key's alias",
}
_REPORTS = {
    "day": "every day's requests, tokens, cost and charge",
    "tier": "the same by tier",
    "model": "the same by the model that served",
    "provider": "the same by provider",
    "deployment": "each deployment's requests, failures (also those that another made good), cached share and cost",
    "user": "one user's, by day and model",
    "key": "one user's, by virtual key",
    "top": "the users that use most",
    "errors": "how often each model fails, and why; also failures that another made good",
    "margin": "charge less cost, by tier and model",
}


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `usage`, and `report` with each report."""
    parser = commands.add_parser(
        "usage",
        help="what a user has used, by window, day and model; and single requests",
        epilog="examples: scalix usage alice --days 7; scalix usage events alice --outcome success --csv. Without a "
        "user, the operator's own use.",
    )
    parser.add_argument("words", nargs="*", metavar=f"[{EVENTS}] [USER]", help="whose use, or which requests")
    parser.add_argument("--user", dest="user_id", help=f"the user's id, where it is '{EVENTS}'")
    parser.add_argument("--days", metavar="N", help="today and the days before (default 30)")
    for name, text in _FILTERS.items():
        parser.add_argument(f"--{name}", metavar=name.upper(), help=f"with {EVENTS}: {text}")
    add_shapes(parser, A_TABLE)
    parser.set_defaults(run=_usage)

    reports = commands.add_parser("report", help="sums by day, tier, model and more; errors, margin")
    names = reports.add_subparsers(dest="report", required=True, metavar="REPORT")
    for name, text in _REPORTS.items():
        one = names.add_parser(name, help=text)
        if name in ("user", "key"):
            one.add_argument("user_id", metavar="USER", help="the user's id")
        if name == "top":
            one.add_argument("--by", choices=("tokens", "cost"), default="tokens", help="what they are ranked by")
            one.add_argument("--limit", metavar="N", help="how many users (default 20)")
        one.add_argument("--from", metavar="DATE", help="the first day (UTC; default 30 days back)")
        one.add_argument("--to", metavar="DATE", help="the last day (default today)")
        add_shapes(one, A_TABLE)
        one.set_defaults(run=_report)
    today = names.add_parser(
        "today", help="one day's users, conversions, limits, money and errors, with 30 days before"
    )
    today.add_argument("--day", metavar="DATE", help="the day (UTC; default today)")
    add_shapes(today, A_TABLE)
    today.set_defaults(run=_report)


def _usage(options: Options, session: Session) -> None:
    query = given(options)
    words = query.pop("words")
    of_events = words[:1] == [EVENTS]
    users = words[of_events:]
    if len(users) > 1 or (users and "user_id" in query):
        raise WrongUsage("name one user")
    if users:
        query["user_id"] = users[0]
    if of_events and "days" in query:
        raise WrongUsage(f"--days is not for {EVENTS}: write --from and --to")
    only_events = [name for name in _FILTERS if name in query]
    if only_events and not of_events:
        raise WrongUsage(f"--{only_events[0]} is for single requests: write scalix usage {EVENTS} …")
    path = "/scalix/v1/usage/events" if of_events else "/scalix/v1/usage"
    if of_events:
        _show(options, session, path, query, _tell_events)
    else:
        tell(options, session.get(path, **query), _tell_usage)


def _report(options: Options, session: Session) -> None:
    query = given(options)
    name = query.pop("report")
    _show(options, session, f"/scalix/v1/reports/{name}", query, tell_today if name == "today" else _tell_report)


def _show(options: Options, session: Session, path: str, query: dict[str, Any], show: Show) -> None:
    """Print an answer as CSV, as JSON or for people, whichever was asked for."""
    if options.csv:
        text, cursor = session.page(path, format="csv", **query)
        print(text, end="")
        if cursor is not None:
            # Beside the file that it is written to, which must not pass for all of them.
            print(f"more: --cursor {cursor}", file=sys.stderr)
        return
    tell(options, session.get(path, **query), show)


def _tell_usage(options: Options, answer: Any) -> None:
    days = ("date", *_SUMS)
    if options.csv:
        print_rows(options, "", days, answer["by_day"])
        return
    balance = f", balance ${shown_amount(answer['balance_usd'])}" if "balance_usd" in answer else ""
    print_text(
        options,
        f"{answer['user_id']}, tier {answer['tier'] or '-'}: {shown_amount(answer['requests_today'])} requests and "
        f"{shown_amount(answer['tokens_today'])} tokens today, charge ${shown_amount(answer['charge_today_usd'])}; "
        f"{shown_amount(answer['requests_this_hour'])} requests this hour{balance}",
    )
    print_rows(options, "\nlimits", OF_LIMITS, shown_limits(answer))
    print_rows(options, "\nby day", days, answer["by_day"])
    _print_series(answer["by_day"])
    print_rows(options, "\nby model", ("model", *_SUMS), answer["by_model"])


def _tell_events(options: Options, answer: Any) -> None:
    print_rows(options, "requests, newest first", _EVENT, answer["events"], "no requests")
    if answer["next_cursor"] is not None:
        print_text(options, f"more: --cursor {answer['next_cursor']}")


def _tell_report(options: Options, answer: Any) -> None:
    columns, rows = answer["columns"], list(answer["rows"])
    title = f"{answer['report']}, {answer['from']} to {answer['to']}"
    if rows and "total" in answer:
        rows.append({columns[0]: "total", **answer["total"]})
    print_rows(options, title, columns, rows, f"{title}: nothing")
    if answer["report"] == "day":
        _print_series(answer["rows"])


def _print_series(days: list[dict[str, Any]]) -> None:
    """A line of bars for each figure of days in a row; days without use are zero."""
    if not days:
        return
    by_date = {date.fromisoformat(day["date"]): day for day in days}
    first, last = min(by_date), max(by_date)
    every = [by_date.get(first + timedelta(days=place), {}) for place in range((last - first).days + 1)]
    series = [column for column in columns_of(_SERIES) if any(column.name in day for day in days)]
    widest = max(len(column.head) for column in series)
    for column in series:
        values = [day.get(column.name) or type(by_date[first][column.name])() for day in every]
        print_series(f"{column.head:<{widest}}", values)
