"""Encryption of what a record must keep. Without a key, text is kept as it is."""

from collections.abc import Sequence
from typing import Protocol

import orjson

_MARK = "fernet:"


class CannotOpen(Exception):
    """A text was sealed with a key that is not at hand, or was not sealed for this place, or was damaged."""


class Sealing(Protocol):
    """Seals and opens texts. `place` says where a text belongs, such as a user's name: it opens nowhere else."""

    def seal(self, place: str, text: str) -> str:
        """What to keep in the store."""
        ...

    def open(self, place: str, kept: str) -> str:
        """The text again. Raises `CannotOpen`."""
        ...

    def is_current(self, kept: str) -> bool:
        """Whether `kept` is as `seal` would keep it now: sealed, and with the key that seals."""
        ...


class Unsealed:
    """Keeps texts as they are."""

    def seal(self, place: str, text: str) -> str:
        return text

    def open(self, place: str, kept: str) -> str:
        if kept.startswith(_MARK):
            raise CannotOpen("it is encrypted, and SCALIX_ENCRYPTION_KEY is not set")
        return kept

    def is_current(self, kept: str) -> bool:
        return not kept.startswith(_MARK)


class FernetSealing:
    """Fernet (AES-128-CBC and HMAC-SHA256). Of several keys the first one encrypts, and all decrypt. A text that was
    kept before there was a key is read as it is, and sealed when it is next written."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Raises `ValueError` for a key that is none."""
        from cryptography.fernet import Fernet, MultiFernet

        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._first = MultiFernet([Fernet(key) for key in keys[:1]])

    def seal(self, place: str, text: str) -> str:
        return _MARK + self._fernet.encrypt(orjson.dumps([place, text])).decode("ascii")

    def open(self, place: str, kept: str) -> str:
        from cryptography.fernet import InvalidToken

        if not kept.startswith(_MARK):
            return kept
        try:
            sealed_for, text = orjson.loads(self._fernet.decrypt(kept.removeprefix(_MARK)))
        except (InvalidToken, ValueError, TypeError):
            raise CannotOpen("none of the keys in SCALIX_ENCRYPTION_KEY opens it") from None
        if sealed_for != place:
            raise CannotOpen("it was encrypted for another record")
        return str(text)

    def is_current(self, kept: str) -> bool:
        from cryptography.fernet import InvalidToken

        if not kept.startswith(_MARK):
            return False
        try:
            self._first.decrypt(kept.removeprefix(_MARK))
        except InvalidToken:
            return False
        return True


def encryption_keys(text: str | None) -> list[str]:
    """The keys of `SCALIX_ENCRYPTION_KEY`: separated by commas, the first one encrypts."""
    return [key.strip() for key in (text or "").split(",") if key.strip()]


def sealing_of(keys: Sequence[str]) -> Sealing:
    """By the keys of `SCALIX_ENCRYPTION_KEY`. Raises `ValueError` for one that is none."""
    return FernetSealing(keys) if keys else Unsealed()
