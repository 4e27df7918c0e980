"""`scalix ledger`: whether counters, sums and events agree, what mends them, and the days that are in files."""

import argparse
import json
import sys
from typing import Any

from scalix.cli.command_line import EXIT_FAILED, Acts
from scalix.cli.session import Refused, Session, in_json, print_table
from scalix.domain.identity.subjects import SHARDS

# Millions of events take minutes.
_PATIENCE_S = 3_600.0
_MIB = 1 << 20


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `ledger` and what it can do."""
    acts = Acts(commands, "ledger", "the ledger: its size, its truth, its archive")

    acts.add("status", _status, "how full the store is, and what is in files")

    verify = acts.add(
        "verify",
        _verify,
        "compare counters, sums and rankings of a day with its events; exit code 1 if some differ",
        "Requests may go on meanwhile. A day that is in the archive is compared with the file.",
    )
    _add_what(verify)

    repair = acts.add(
        "repair",
        _repair,
        "write what the events of a day say into counters, sums and rankings; exit code 1 if something is left",
    )
    _add_what(repair)
    repair.add_argument("--dry-run", action="store_true", help="only say what would be written")

    archive = acts.add("archive", _archive, "write the events of old days to files now")
    archive.add_argument(
        "--after-days", type=int, metavar="N", help="days older than this (default: retention.archive_after_days)"
    )

    export = acts.add(
        "export", _export, "every event of a day as JSON Lines, from the store and the archive", json=False
    )
    export.add_argument("--day", metavar="DATE", help="such as 2026-11-01, in UTC (default: today)")


def _add_what(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--day", metavar="DATE", help="such as 2026-11-01, in UTC (default: today)")
    parser.add_argument("--user", help="only this user; everybody's sums are left out then")


def _status(options: argparse.Namespace, session: Session) -> None:
    answer = session.get("/scalix/v1/ledger")
    if in_json(options, answer):
        return
    store, kept = answer["store"], answer["retention"]
    if store is not None:
        limit = "unknown" if store["limit_bytes"] is None else f"{store['limit_bytes'] // _MIB:,} MiB"
        whose = "its maxmemory" if store["limit_is_maxmemory"] else "the machine's; set maxmemory"
        print(f"store     {store['used_bytes'] // _MIB:,} MiB of {limit} ({whose}), {store['percent']} %")
    print(f"kept      events {kept['events_days']} days, by hour {kept['hours_days']}, by day {kept['days_days']}")
    after = kept["archive_after_days"]
    print(f"archive   {'only when the store gets full' if after is None else f'events older than {after} days'}")
    for entry in answer["archived"]:
        print(f"          {entry['day']}  {entry['file']}")
    for day, host in answer["archived_elsewhere"].items():
        print(f"          {day}  on {host}")


def _verify(options: argparse.Namespace, session: Session) -> None:
    asked = {"day": options.day, "user_id": options.user}
    query = {name: value for name, value in asked.items() if value is not None}
    answer = session.patient(_PATIENCE_S).get("/scalix/v1/ledger/verify", **query)
    _tell(options, answer, answer["differences"], "differ from the events")
    if not answer["whole"]:
        raise SystemExit(EXIT_FAILED)


def _repair(options: argparse.Namespace, session: Session) -> None:
    asked = {"day": options.day, "user_id": options.user, "dry_run": options.dry_run or None}
    body = {name: value for name, value in asked.items() if value is not None}
    answer = session.patient(_PATIENCE_S).post("/scalix/v1/ledger/repair", body)
    if options.dry_run:
        _tell(options, answer, answer["differences"], "would be mended")
        return
    _tell(options, answer, answer["left"], "could not be mended")
    if not options.json:
        print(f"mended: {answer['mended']:,}")
    if answer["left"]:
        raise SystemExit(EXIT_FAILED)


def _tell(options: argparse.Namespace, answer: Any, rows: list[dict[str, Any]], title: str) -> None:
    if in_json(options, answer):
        return
    head = f"{answer['day']}: {answer['events']:,} events of {answer['subjects']:,} users"
    print(f"{head}, from the {answer['from']}")
    if rows:
        print_table(f"what {title}", _COLUMNS, [_cells(row) for row in rows])
        if answer["difference_count"] > len(rows) == len(answer["differences"]):
            print(f"and {answer['difference_count'] - len(rows):,} more")
    else:
        print(f"nothing {'differs' if title.startswith('differ') else 'is left to mend'}")
    if answer["moving"]:
        print(f"{len(answer['moving'])} sums kept changing while they were looked at; look again later")


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    found, right = (row[name] if row[name] is not None else "-" for name in ("found", "right"))
    return row["where"], row["what"], row["field"], found, row.get("why") or right


def _archive(options: argparse.Namespace, session: Session) -> None:
    body = {} if options.after_days is None else {"after_days": options.after_days}
    answer = session.patient(_PATIENCE_S).post("/scalix/v1/ledger/archive", body)
    if in_json(options, answer):
        return
    for entry in answer["archived"]:
        print(f"{entry['day']}: {entry['events']:,} events in {entry['file']}")
    if not answer["archived"]:
        print("no day is that old")


def _export(options: argparse.Namespace, session: Session) -> None:
    day = {} if options.day is None else {"day": options.day}
    patient = session.patient(_PATIENCE_S)
    for shard in range(SHARDS):
        answer = patient.get("/scalix/v1/ledger/export", shard=str(shard), **day)
        if not isinstance(answer.get("events"), list):
            raise Refused("the answer has no events; is this a Scalix gateway?")
        for event in answer["events"]:
            sys.stdout.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")


_COLUMNS = ("where", "what", "field", "found", "by the events")
