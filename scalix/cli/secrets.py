"""`scalix secrets`: what operators do with the gateway's own secrets."""

import argparse
from typing import Any

from scalix.cli.command_line import Acts
from scalix.cli.session import Refused, Session, print_json

_NAMED = 20


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `secrets` and what it can do."""
    acts = Acts(commands, "secrets", "after a rotation of SCALIX_ENCRYPTION_KEY")
    acts.add(
        "reencrypt",
        _reencrypt,
        "encrypt every record's metadata with the first key",
        "First set SCALIX_ENCRYPTION_KEY to NEW,OLD and restart every instance. When this command ends with "
        "exit code 0, the old key is not needed any more.",
    )


def _reencrypt(options: argparse.Namespace, session: Session) -> None:
    records = reencrypted = 0
    unreadable: list[str] = []
    cursor = None
    while True:
        page = session.post("/scalix/v1/secrets/reencrypt", {"cursor": cursor})
        records += page["records"]
        reencrypted += page["reencrypted"]
        unreadable += page["unreadable"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    if options.json:
        print_json({"records": records, "reencrypted": reencrypted, "unreadable": unreadable})
    else:
        print(f"{records} records, {reencrypted} of them encrypted anew")
    if unreadable:
        more = f" and {len(unreadable) - _NAMED} more" if len(unreadable) > _NAMED else ""
        raise Refused(
            f"the metadata of {', '.join(unreadable[:_NAMED])}{more} can't be read with the keys of "
            "SCALIX_ENCRYPTION_KEY: add the key that it was written with, or write the metadata anew"
        )
