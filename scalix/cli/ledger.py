"""`scalix ledger`: compares counters and sums with the events, repairs them, and archives old days."""

import argparse
import json
import sys
from typing import Any

from scalix.cli.acts import A_TABLE, Acts, Options, asks, given
from scalix.cli.session import Refused, Session
from scalix.cli.tables import print_rows, print_text
from scalix.domain.identity.subjects import SHARDS

# Millions of events take minutes.
_PATIENCE_S = 3_600.0
_MIB = 1 << 20
_COLUMNS = ("where", "what", "field", "found", "right", "why")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `ledger` and what it can do."""
    acts = Acts(commands, "ledger", "the ledger: its size, its consistency, its archive")

    acts.add("status", asks("GET /scalix/v1/ledger", _tell_status), "how full the store is, and what is in files")

    verify = acts.add(
        "verify",
        asks("GET /scalix/v1/ledger/verify", _tell_verified, patience_s=_PATIENCE_S, failed=_differs),
        "compare counters, sums and rankings of a day with its events; exit code 1 if some differ",
        "Requests may go on meanwhile. A day that is in the archive is compared with the file.",
        shapes=A_TABLE,
    )
    repair = acts.add(
        "repair",
        asks("POST /scalix/v1/ledger/repair", _tell_repaired, patience_s=_PATIENCE_S, failed=_is_left),
        "write what the events of a day say into counters, sums and rankings; exit code 1 if something is left",
        shapes=A_TABLE,
    )
    repair.add_argument("--dry-run", action="store_const", const=True, help="only say what would be written")

    archiving = asks("POST /scalix/v1/ledger/archive", _tell_archived, patience_s=_PATIENCE_S)
    archive = acts.add("archive", archiving, "write the events of old days to files now")
    archive.add_argument("--after-days", type=int, metavar="N", help="days older than this (default: as configured)")

    export = acts.add("export", _export, "every event of a day as JSON Lines, also from the archive", shapes=())

    for one in (verify, repair, export):
        one.add_argument("--day", metavar="DATE", help="such as 2026-11-01, in UTC (default: today)")
    for one in (verify, repair):
        one.add_argument("--user", dest="user_id", help="only this user; everybody's sums are left out then")


def _tell_status(options: Options, answer: Any) -> None:
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


def _differs(options: Options, answer: Any) -> bool:
    return not answer["whole"]


def _is_left(options: Options, answer: Any) -> bool:
    return not options.dry_run and bool(answer["left"])


def _tell_verified(options: Options, answer: Any) -> None:
    _tell(options, answer, answer["differences"], "what differ from the events", "nothing differs")


def _tell_repaired(options: Options, answer: Any) -> None:
    if options.dry_run:
        _tell(options, answer, answer["differences"], "what would be mended", "nothing is left to mend")
        return
    _tell(options, answer, answer["left"], "what could not be mended", "nothing is left to mend")
    print_text(options, f"mended: {answer['mended']:,}")


def _tell(options: Options, answer: Any, rows: list[dict[str, Any]], title: str, nothing: str) -> None:
    head = f"{answer['day']}: {answer['events']:,} events of {answer['subjects']:,} users"
    print_text(options, f"{head}, from the {answer['from']}")
    print_rows(options, title, _COLUMNS, rows, nothing)
    if answer["difference_count"] > len(rows) == len(answer["differences"]):
        print_text(options, f"and {answer['difference_count'] - len(rows):,} more")
    if answer["moving"]:
        moving = f"{len(answer['moving'])} sums kept changing while they were looked at; look again later"
        print_text(options, moving)


def _tell_archived(options: Options, answer: Any) -> None:
    for entry in answer["archived"]:
        print(f"{entry['day']}: {entry['events']:,} events in {entry['file']}")
    if not answer["archived"]:
        print("no day is that old")


def _export(options: Options, session: Session) -> None:
    patient = session.patient(_PATIENCE_S)
    for shard in range(SHARDS):
        answer = patient.get("/scalix/v1/ledger/export", shard=shard, **given(options))
        if not isinstance(answer.get("events"), list):
            raise Refused("the answer has no events; is this a Scalix gateway?")
        for event in answer["events"]:
            sys.stdout.write(json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n")
