"""`scalix retention` and `scalix secrets`: removes what is too old, and encrypts with a new key."""

import argparse
from typing import Any

from scalix.cli.acts import Acts, Options, asks, tell
from scalix.cli.session import Refused, Session
from scalix.cli.tables import print_record

# All that is too old is removed, and the store rewrites its files.
_PATIENCE_S = 300.0
_MOST_NAMED = 20


def add_to(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `secrets`, `retention` and what they can do."""
    Acts(commands, "secrets", "after a rotation of SCALIX_ENCRYPTION_KEY").add(
        "reencrypt",
        _reencrypt,
        "encrypt every record's metadata with the first key",
        "First set SCALIX_ENCRYPTION_KEY to NEW,OLD and restart every instance. When this command ends with "
        "exit code 0, the old key is not needed any more.",
    )
    retention = Acts(commands, "retention", "remove what is older than its retention")
    run = asks("POST /scalix/v1/retention/run", _tell_removed, patience_s=_PATIENCE_S)
    retention.add("run", run, "do now what is done every day")


def _reencrypt(options: Options, session: Session) -> None:
    records = reencrypted = 0
    unreadable: list[str] = []
    cursor = None
    while True:
        page = session.ask("POST", "/scalix/v1/secrets/reencrypt", {"cursor": cursor})
        records += page["records"]
        reencrypted += page["reencrypted"]
        unreadable += page["unreadable"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    answer = {"records": records, "reencrypted": reencrypted, "unreadable": unreadable}
    tell(options, answer, lambda *_: print(f"{records} records, {reencrypted} of them encrypted anew"))
    if unreadable:
        more = f" and {len(unreadable) - _MOST_NAMED} more" if len(unreadable) > _MOST_NAMED else ""
        raise Refused(
            f"the metadata of {', '.join(unreadable[:_MOST_NAMED])}{more} can't be read with the keys of "
            "SCALIX_ENCRYPTION_KEY: add the key that it was written with, or write the metadata anew"
        )


def _tell_removed(options: Options, answer: Any) -> None:
    print_record("removed", [(name.replace("_", " "), f"{count:,}") for name, count in answer["removed"].items()])
