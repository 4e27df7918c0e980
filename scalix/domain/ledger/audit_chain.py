"""The audit log as a chain: each entry's hash covers the one before, so that a removed or changed entry shows.

With keys the hashes are HMACs, and nobody without a key can build the chain anew.
"""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

GENESIS = "0" * 64
"""What the first entry follows."""
PLAIN, _KEYED = "sha256", "hmac-sha256:"
MOST_TEXT_CHARS = 8_192
TRIMMED = "audit.trimmed"
"""The act of the entry that says what retention has removed: `details` hold `through_seq` and `through_hash`."""


@dataclass(frozen=True, slots=True)
class Link:
    """One entry as it is kept. `seq` counts from 1. `text` is JSON. `prev` and `hash` are hexadecimal SHA-256.

    `mac` says how `hash` was made: `sha256`, or `hmac-sha256:` and the key's id.
    """

    seq: int
    text: str
    prev: str
    hash: str
    mac: str

    @property
    def is_keyed(self) -> bool:
        """Whether a key was needed to make it."""
        return self.mac != PLAIN

    @property
    def entry(self) -> dict[str, Any]:
        """The entry; empty where the text is no longer one."""
        try:
            found = json.loads(self.text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log: the number given last, the last entry that is there (0: none), and that entry's hash."""

    given_seq: int = 0
    last_seq: int = 0
    hash: str = GENESIS


def entry_text(seq: int, entry: Mapping[str, Any]) -> str:
    """The one text of an entry: sorted keys, no spaces, ASCII. One that is too long loses its details, and says so."""
    text = _json({"seq": seq, **entry})
    if len(text) <= MOST_TEXT_CHARS:
        return text
    short = {name: value for name, value in entry.items() if name not in ("before", "after", "details")}
    return _json({"seq": seq, **short, "details": {"left_out_chars": len(text)}})


class Sealer:
    """Makes and checks hashes. Of several keys the first one signs, and all are known when checking."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._keys = {_key_id(key): key.encode() for key in keys}
        self._signer = next(iter(self._keys), None)

    @property
    def has_keys(self) -> bool:
        """Whether new entries are signed."""
        return self._signer is not None

    def seal(self, seq: int, prev: str, text: str) -> Link:
        """The entry that follows the one with the hash `prev`."""
        mac = PLAIN if self._signer is None else _KEYED + self._signer
        digest = self._digest(mac, seq, prev, text)
        assert digest is not None  # noqa: S101 - told to the type checker: the signer is among the keys
        return Link(seq, text, prev, digest, mac)

    def knows(self, link: Link) -> bool:
        """Whether the entry can be checked: it does not name a key that is not at hand."""
        return not link.mac.startswith(_KEYED) or link.mac.removeprefix(_KEYED) in self._keys

    def holds(self, link: Link) -> bool:
        """Whether the entry is as it was made."""
        digest = self._digest(link.mac, link.seq, link.prev, link.text)
        return digest is not None and hmac.compare_digest(digest, link.hash)

    def _digest(self, mac: str, seq: int, prev: str, text: str) -> str | None:
        content = f"{mac}\n{seq}\n{prev}\n{text}".encode("utf-8", "surrogatepass")
        if mac == PLAIN:
            return hashlib.sha256(content).hexdigest()
        key = self._keys.get(mac.removeprefix(_KEYED)) if mac.startswith(_KEYED) else None
        return None if key is None else hmac.new(key, content, hashlib.sha256).hexdigest()


def audit_keys(text: str | None) -> list[str]:
    """The keys of `SCALIX_AUDIT_KEY`: separated by commas, the first one signs."""
    return [key.strip() for key in (text or "").split(",") if key.strip()]


def _key_id(key: str) -> str:
    return hashlib.sha256(b"scalix audit key id\n" + key.encode()).hexdigest()[:12]


def _json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
