"""What a journal holds: settlements that could not be written, and reservations to be given back."""

import zlib
from dataclasses import asdict, dataclass, fields
from typing import Any

import orjson

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.quota import Charge, Outcome, Receipt


@dataclass(frozen=True, slots=True)
class SettlementEntry:
    """A charge that the store has not taken yet."""

    receipt: Receipt
    charge: Charge


@dataclass(frozen=True, slots=True)
class Release:
    """A reservation that the store may have made, or may still make, for a request that did not get it. `at_ms` is the
    Unix time of the request."""

    request_id: str
    subject: str
    key_id: str | None = None
    at_ms: int | None = None


Entry = SettlementEntry | Release


def subject_of(entry: Entry) -> str:
    """Whom the entry is about."""
    return entry.receipt.subject if isinstance(entry, SettlementEntry) else entry.subject


def encoded(entry: Entry) -> bytes:
    """One line: a checksum, and the entry as JSON.

    Never raises: an entry that JSON can't hold is kept in words, which `decoded` does not understand. So it is set
    aside for a person to read, and its neighbours in the file are not lost with it.
    """
    try:
        text = _json_of(entry)
    except Exception:
        text = orjson.dumps({"op": "unwritable", "entry": ascii(entry)})
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _json_of(entry: Entry) -> bytes:
    if isinstance(entry, SettlementEntry):
        value = {"op": "settle", "receipt": asdict(entry.receipt), "charge": asdict(entry.charge)}
    else:
        value = {"op": "release", **asdict(entry)}
    return orjson.dumps(value)


def decoded(line: bytes) -> Entry | None:
    """The entry of a line; `None` if the line is damaged, or of a kind that this version does not know."""
    checksum, _, text = line.removesuffix(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        value = orjson.loads(text)
        if value["op"] == "settle":
            charge = _known(Charge, value["charge"])
            charge["outcome"] = Outcome(charge["outcome"])
            charge["detail"] = _detail(charge.get("detail", {}))
            return SettlementEntry(Receipt(**_known(Receipt, value["receipt"])), Charge(**charge))
        if value["op"] == "release":
            return Release(**_known(Release, value))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        return None
    return None


def _detail(values: dict[str, Any]) -> Detail:
    # JSON knows no tuples.
    known: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in _known(Detail, values).items()
    }
    return Detail(**known)


def _known(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """The values that a class of this version has a field for: a journal may be older or newer than we are."""
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
