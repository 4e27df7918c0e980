"""Encryption of what a record must keep. Without a key, text is kept as it is."""

import logging
from collections.abc import Sequence
from typing import Any

import orjson

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.store.base import UserRecord

_MARK = "fernet:"


class CannotOpen(Exception):
    """A text was encrypted with a key that is not at hand, or was not encrypted for this place, or was damaged."""


class Sealing:
    """Encrypts and decrypts texts with Fernet (AES-128-CBC and HMAC-SHA256).

    Of several keys the first one encrypts, and all decrypt. A text that was kept before there was a key is read as it
    is, and encrypted when it is next written. The `place` of a text says where it belongs, such as a user's name: at
    another place it can't be read.
    """

    def __init__(self, keys: Sequence[str] = ()) -> None:
        """Raises `ValueError` for a key that is none."""
        self._fernet = self._first = None
        if keys:
            from cryptography.fernet import Fernet, MultiFernet

            self._fernet, self._first = MultiFernet([Fernet(key) for key in keys]), Fernet(keys[0])

    def seal(self, place: str, text: str) -> str:
        """What to keep in the store."""
        if self._fernet is None:
            return text
        return _MARK + self._fernet.encrypt(orjson.dumps([place, text])).decode("ascii")

    def open(self, place: str, kept: str) -> str:
        """The text again. Raises `CannotOpen`."""
        if not kept.startswith(_MARK):
            return kept
        if self._fernet is None:
            raise CannotOpen("it is encrypted, and SCALIX_ENCRYPTION_KEY is not set")
        from cryptography.fernet import InvalidToken

        try:
            sealed_for, text = orjson.loads(self._fernet.decrypt(kept.removeprefix(_MARK)))
        except (InvalidToken, ValueError, TypeError):
            raise CannotOpen("none of the keys in SCALIX_ENCRYPTION_KEY opens it") from None
        if sealed_for != place:
            raise CannotOpen("it was encrypted for another record")
        return str(text)

    def is_current(self, kept: str) -> bool:
        """Whether `kept` is as `seal` would keep it now: encrypted, and with the key that encrypts."""
        if self._first is None or not kept.startswith(_MARK):
            return self._first is None and not kept.startswith(_MARK)
        from cryptography.fernet import InvalidToken

        try:
            self._first.decrypt(kept.removeprefix(_MARK))
        except InvalidToken:
            return False
        return True


class SealedMetadata:
    """The metadata of one kind of records, as it is kept. `kind` is what the log calls them: `users` or `keys`."""

    def __init__(self, sealing: Sealing | None, kind: str) -> None:
        self._sealing = sealing or Sealing()
        self._kind = kind
        self._said = False

    def kept(self, place: str, record: KeyRecord | UserRecord) -> str:
        """What to keep of a record's metadata. What could not be read stays as it is."""
        if record.sealed_metadata is not None:
            return record.sealed_metadata
        return self._sealing.seal(place, orjson.dumps(record.metadata).decode())

    def fields(self, place: str, kept: str) -> dict[str, Any]:
        """The fields of a record for what is kept: `metadata`, or `sealed_metadata` where it can't be read."""
        try:
            return {"metadata": orjson.loads(self._sealing.open(place, kept))}
        except CannotOpen as fault:
            if not self._said:
                self._said = True
                log = logging.getLogger(f"scalix.{self._kind}")
                log.error("metadata of %s can't be read: %s; the rest of their records is used", self._kind, fault)
            return {"sealed_metadata": kept}


def encryption_keys(text: str | None) -> list[str]:
    """The keys of `SCALIX_ENCRYPTION_KEY`: separated by commas, the first one encrypts."""
    return [key.strip() for key in (text or "").split(",") if key.strip()]
