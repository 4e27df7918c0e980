"""`scalix report`: sums by day, tier, model, provider, user and key; top users, errors, margin."""

import argparse
from typing import Any

from scalix.cli.amounts import cells_of, column_of
from scalix.cli.session import Session, in_json, print_table
from scalix.service.usage.report_names import OF_A_USER, REPORTS


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `report` and each report."""
    parser = commands.add_parser("report", help="sums by day, tier, model and more; errors, margin")
    names = parser.add_subparsers(dest="report", required=True, metavar="REPORT")
    for name in REPORTS:
        one = names.add_parser(name, help=_HELP[name])
        if name in OF_A_USER:
            one.add_argument("user_id", metavar="USER", help="the user's id")
        if name == "top":
            one.add_argument("--by", choices=("tokens", "cost"), default="tokens", help="what they are ranked by")
            one.add_argument("--limit", metavar="N", help="how many users (default 20)")
        one.add_argument("--from", dest="first", metavar="DATE", help="the first day (UTC; default 30 days back)")
        one.add_argument("--to", dest="last", metavar="DATE", help="the last day (default today)")
        shape = one.add_mutually_exclusive_group()
        shape.add_argument("--json", action="store_true", help="one JSON object")
        shape.add_argument("--csv", action="store_true", help="CSV")
        one.set_defaults(run=_run)


_HELP = {
    "day": "every day's requests, tokens, cost and charge",
    "tier": "the same by tier",
    "model": "the same by the model that served",
    "provider": "the same by provider",
    "user": "one user's, by day and model",
    "key": "one user's, by virtual key",
    "top": "the users that use most",
    "errors": "how often each model fails, and why",
    "margin": "charge less cost, by tier and model",
}


def _run(options: argparse.Namespace, session: Session) -> None:
    asked = {
        "from": options.first,
        "to": options.last,
        **{name: getattr(options, name, None) for name in ("user_id", "by", "limit")},
    }
    query = {name: value for name, value in asked.items() if value is not None}
    path = f"/scalix/v1/reports/{options.report}"
    if options.csv:
        print(session.text(path, format="csv", **query), end="")
        return
    answer = session.get(path, **query)
    if in_json(options, answer):
        return
    columns = tuple(answer["columns"])
    rows = [cells_of(row, columns) for row in answer["rows"]]
    title = f"{answer['report']}, {answer['from']} to {answer['to']}"
    if not rows:
        print(f"{title}: nothing")
        return
    if "total" in answer:
        rows.append(cells_of({columns[0]: "total", **answer["total"]}, columns))
    print_table(title, [column_of(name) for name in columns], rows)
