"""`scalix usage`: what a user has used, and the requests that it was used by."""

import argparse
import sys
from typing import Any

from scalix.cli.amounts import cells_of, column_of, shown_amount
from scalix.cli.session import Session, WrongUsage, in_json, print_table

EVENTS = "events"
_LIMITS = ("limit", "limit_value", "used", "reserved", "remaining", "reset_at")
_SUMS = ("requests", "tokens", "prompt_tokens", "completion_tokens", "cached_tokens", "cost_usd")
_EVENT = ("time", "id", "model_served", "key", "outcome", "error", "tokens", "cost_usd", "provider_cost_usd")
_FILTERS = ("limit", "cursor", "from", "to", "model", "outcome", "key")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `usage`."""
    parser = commands.add_parser(
        "usage",
        help="what a user has used, by window, day and model; and single requests",
        epilog="examples: scalix usage alice --days 7; scalix usage events alice --outcome success --csv. Without a "
        "user, the operator's own use.",
    )
    parser.add_argument("words", nargs="*", metavar=f"[{EVENTS}] [USER]", help="whose use, or which requests")
    parser.add_argument("--user", dest="user_id", help=f"the user's id, where it is '{EVENTS}'")
    parser.add_argument("--days", metavar="N", help="today and the days before (default 30)")
    for name in _FILTERS:
        parser.add_argument(f"--{name}", dest=f"by_{name}", metavar=name.upper(), help=f"with {EVENTS}: {_HELP[name]}")
    shape = parser.add_mutually_exclusive_group()
    shape.add_argument("--json", action="store_true", help="one JSON object")
    shape.add_argument("--csv", action="store_true", help=f"with {EVENTS}: CSV")
    parser.set_defaults(run=_run)


_HELP = {
    "limit": "how many (default 100, at most 1000)",
    "cursor": "where the page before has ended",
    "from": "from this date or time on",
    "to": "up to this date or time",
    "model": "asked for or served",
    "outcome": "such as success",
    "key": "a virtual key's alias",
}


def _run(options: argparse.Namespace, session: Session) -> None:
    words = list(options.words)
    asks_events = bool(words) and words[0] == EVENTS
    if asks_events:
        words.pop(0)
    if len(words) > 1 or (words and options.user_id is not None):
        raise WrongUsage("name one user")
    user_id = options.user_id if options.user_id is not None else next(iter(words), None)
    query = {} if user_id is None else {"user_id": user_id}
    filters = {name: value for name in _FILTERS if (value := getattr(options, f"by_{name}")) is not None}
    if asks_events:
        if options.days is not None:
            raise WrongUsage(f"--days is not for {EVENTS}: write --from and --to")
        _events(options, session, {**query, **filters})
        return
    if filters or options.csv:
        named = f"--{next(iter(filters))}" if filters else "--csv"
        raise WrongUsage(f"{named} is for single requests: write scalix usage {EVENTS} …")
    _overview(options, session, {**query, **({"days": options.days} if options.days is not None else {})})


def _overview(options: argparse.Namespace, session: Session, query: dict[str, str]) -> None:
    answer = session.get("/scalix/v1/usage", **query)
    if in_json(options, answer):
        return
    balance = f", balance ${shown_amount(answer['balance_usd'])}" if "balance_usd" in answer else ""
    print(
        f"{answer['user_id']}, tier {answer['tier'] or '-'}: {shown_amount(answer['requests_today'])} requests and "
        f"{shown_amount(answer['tokens_today'])} tokens today, ${shown_amount(answer['cost_today_usd'])}; "
        f"{shown_amount(answer['requests_this_hour'])} requests this hour{balance}"
    )
    for title, columns, rows in (
        ("limits", _LIMITS, answer["limits"]),
        ("by day", ("date", *_SUMS), answer["by_day"]),
        ("by model", ("model", *_SUMS), answer["by_model"]),
    ):
        if rows:
            print_table(title, [column_of(name) for name in columns], [cells_of(row, columns) for row in rows])


def _events(options: argparse.Namespace, session: Session, query: dict[str, str]) -> None:
    path = "/scalix/v1/usage/events"
    if options.csv:
        text, cursor = session.page(path, format="csv", **query)
        print(text, end="")
        if cursor is not None:
            # Beside the file that it is written to, which must not pass for all of them.
            print(f"more: add --cursor {cursor}", file=sys.stderr)
        return
    answer = session.get(path, **query)
    if in_json(options, answer):
        return
    if answer["events"]:
        rows = [cells_of(event, _EVENT) for event in answer["events"]]
        print_table("requests, newest first", [column_of(name) for name in _EVENT], rows)
    else:
        print("no requests")
    if answer["next_cursor"] is not None:
        print(f"more: add --cursor {answer['next_cursor']}")
