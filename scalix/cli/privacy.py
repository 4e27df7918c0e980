"""`scalix user export`, `scalix user erase` and `scalix retention`: what is kept of people, and its end."""

import argparse
from typing import Any
from urllib.parse import quote

from scalix.cli.command_line import Acts
from scalix.cli.session import Session, in_json, print_json, print_record

# All of a user is read or removed, and the store's files are written anew.
_PATIENCE_S = 300.0


def add_acts(acts: Acts) -> None:
    """Add what `scalix user` does for one person."""
    acts.add("export", _export, "everything that is kept of a user, as JSON", user=True, json=False)
    acts.add(
        "erase",
        _erase,
        "erase everything that is kept of a user; what can't be undone",
        "A call that failed can be made again, and goes on. Backups are out of reach: see docs/privacy.md.",
        user=True,
    )


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `retention` and what it can do."""
    acts = Acts(commands, "retention", "remove what is older than its retention")
    acts.add("run", _run, "do now what is done every day")


def _path(user: str) -> str:
    return f"/scalix/v1/users/{quote(user, safe='')}"


def _export(options: argparse.Namespace, session: Session) -> None:
    print_json(session.patient(_PATIENCE_S).get(f"{_path(options.user)}/export"))


def _erase(options: argparse.Namespace, session: Session) -> None:
    answer = session.patient(_PATIENCE_S).delete(_path(options.user))
    if in_json(options, answer):
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
    if in_json(options, answer):
        return
    rows = [(name.replace("_", " "), f"{count:,}") for name, count in answer["removed"].items()]
    print_record("removed", rows)
