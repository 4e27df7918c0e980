"""`scalix audit`: shows what operators did and who was refused, and checks that no entry was removed or changed."""

import argparse
import json
import os
import re
from typing import Any

from scalix.cli.acts import A_TABLE, Acts, Options, asks
from scalix.cli.command_line import expected
from scalix.cli.session import Refused, Session
from scalix.cli.tables import print_json, print_rows, print_text
from scalix.domain.ledger.audit_chain import Link, Sealer, audit_keys
from scalix.domain.ledger.audit_check import ChainCheck, Report
from scalix.launch.home import HOME
from scalix.launch.settings.environment import load_environment

_KNOWN = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})")
_PAGE = "1000"
_COLUMNS = ("seq", "time", "actor", "address", "act", "object", "what")


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `audit` and what it can do."""
    acts = Acts(commands, "audit", "what operators did, and who was refused")

    entries = acts.add("list", asks("GET /scalix/v1/audit", _tell), "the newest entries", shapes=A_TABLE)
    entries.add_argument("--limit", type=int, default=50, metavar="N", help="how many (default 50)")
    entries.add_argument("--before", type=int, metavar="SEQ", help="only entries before this number")
    entries.add_argument("--actor", help="such as operator:master")
    entries.add_argument("--act", help="such as user.update, or user for all that begin so")
    entries.add_argument("--object", help="such as user:alice")

    verify = acts.add(
        "verify",
        _verify,
        "check that no entry was removed or changed; exit code 1 if one was",
        "With SCALIX_AUDIT_KEY in the environment or the env file, signatures are checked too. The gateway's log has "
        "each entry's hash: give some with --known to find out whether the audit log was made again.",
    )
    verify.add_argument(
        "--known", action="append", type=_known, default=[], metavar="SEQ:HASH", help="an entry that you know"
    )


def _known(text: str) -> tuple[int, str]:
    match = _KNOWN.fullmatch(text)
    if match is None:
        raise expected("SEQ:HASH, a number and 64 hexadecimal digits", text)
    return int(match[1]), match[2]


def _tell(options: Options, answer: Any) -> None:
    rows = [{"act": "changed entry", **entry, "what": _what(entry)} for entry in answer["entries"]]
    print_rows(options, "audit log, newest first", _COLUMNS, rows, "no entries")
    if answer["next_before"] is not None:
        print_text(options, f"more: scalix audit list --before {answer['next_before']}")


def _what(entry: dict[str, Any]) -> str:
    sides = [entry[side] for side in ("before", "after") if entry.get(side)]
    parts = [
        f"{name} {' → '.join(_json(side[name]) if name in side else '-' for side in sides)}"
        for name in dict.fromkeys(name for side in sides for name in side)
    ]
    parts += [f"{name} {_json(value)}" for name, value in (entry.get("details") or {}).items()]
    return ", ".join(parts)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _verify(options: Options, session: Session) -> None:
    environment = load_environment(HOME, os.environ, options.env_file, secrets=("SCALIX_AUDIT_KEY",))
    sealer = Sealer(audit_keys(environment.values.get("SCALIX_AUDIT_KEY")))
    report = check(session, sealer, dict(options.known))
    if options.json:
        print_json(
            {
                "whole": not report.findings,
                "entries": report.entries,
                "first_seq": report.first_seq,
                "last_seq": report.last_seq,
                "last_hash": report.last_hash,
                "signed": report.keyed,
                "findings": report.findings,
            }
        )
    else:
        for finding in report.findings:
            print(finding)
        print(f"{report.entries} entries, {report.first_seq} to {report.last_seq}, {report.keyed} of them signed")
        print(f"the last one is {report.last_seq}:{report.last_hash}")
    if report.findings:
        raise Refused(f"the audit log is not whole: {len(report.findings)} findings")
    if not options.json:
        print("no entry was removed or changed")


def check(session: Session, sealer: Sealer, known: dict[int, str]) -> Report:
    """Read the whole log and check it. Raises `Refused`, `NoAnswer`."""
    chain = ChainCheck(sealer, known)
    after = 0
    while True:
        answer = session.get("/scalix/v1/audit/chain", after=str(after), limit=_PAGE)
        for entry in answer["entries"]:
            chain.take(Link(entry["seq"], entry["text"], entry["prev"], entry["hash"], entry["mac"]))
            after = max(after, entry["seq"])
        # Oldest first: what is trimmed meanwhile has been read already, and what is added is read too.
        if not answer["entries"]:
            return chain.finish(answer["given_seq"])
