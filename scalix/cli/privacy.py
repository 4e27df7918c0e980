"""`scalix user export`, `scalix user erase` and `scalix retention`: what is kept of people, and its end."""

import argparse
from typing import Any
from urllib.parse import quote

from scalix.cli.session import Session, print_json, print_record

# All of a user is read or removed, and the store's files are written anew.
_PATIENCE_S = 300.0


def add_acts(acts: "argparse._SubParsersAction[Any]") -> None:
    """Add what `scalix user` does for one person."""
    export = acts.add_parser("export", allow_abbrev=False, help="everything that is kept of a user, as JSON")
    export.add_argument("user", help="the user's id")
    export.set_defaults(run=_export)

    erase = acts.add_parser(
        "erase",
        allow_abbrev=False,
        help="erase everything that is kept of a user; what can't be undone",
        epilog="A call that failed can be made again, and goes on. Backups are out of reach: see docs/privacy.md.",
    )
    erase.add_argument("user", help="the user's id")
    erase.add_argument("--json", action="store_true", help="one JSON object")
    erase.set_defaults(run=_erase)


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `retention` and what it can do."""
    parser = commands.add_parser("retention", allow_abbrev=False, help="remove what is older than its retention")
    acts = parser.add_subparsers(dest="act", required=True, metavar="ACT")
    run = acts.add_parser("run", allow_abbrev=False, help="do now what is done every day")
    run.add_argument("--json", action="store_true", help="one JSON object")
    run.set_defaults(run=_run)


def _path(user: str) -> str:
    return f"/scalix/v1/users/{quote(user, safe='')}"


def _export(options: argparse.Namespace, session: Session) -> None:
    print_json(session.patient(_PATIENCE_S).get(f"{_path(options.user)}/export"))


def _erase(options: argparse.Namespace, session: Session) -> None:
    answer = session.patient(_PATIENCE_S).delete(_path(options.user))
    if options.json:
        print_json(answer)
        return
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in answer["erased"].items()]
    rows += [(f"store: {name.replace('_', ' ')}", state) for name, state in answer["store_files"].items()]
    rows.append(("days of billing kept without a name", f"{answer['billing_days_kept']:,}"))
    print_record(f"{options.user} is erased", rows)
    if not any(count for name, count in answer["erased"].items() if name != "audit_names"):
        print("nothing was kept under this name: is it the right one?")
    for day, host in answer["archived_elsewhere"].items():
        print(f"the events of {day} are in an archive on {host}: erase the user there too")


def _run(options: argparse.Namespace, session: Session) -> None:
    answer = session.patient(_PATIENCE_S).post("/scalix/v1/retention/run", {})
    if options.json:
        print_json(answer)
        return
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in answer["removed"].items()]
    print_record("removed", rows)
