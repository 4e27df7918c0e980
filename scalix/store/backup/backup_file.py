"""The file of a backup: a header that says what it is, and lines in frames of which none can be changed unseen.

    scalix-backup 1
    {"created_ms": …, "salt": "…"}
    <bytes of the body, 4> <1 in the last frame, else 0> <body> …

A body is some lines, compressed, and then either encrypted (AES-256-GCM, with a key made of the operator's and the
file's own salt) or followed by its SHA-256. Both cover the header, the number of the frame and whether it is the last:
a file that was cut short, put together anew or written by somebody without the key is refused as a whole.
"""

import base64
import os
import secrets
import struct
import zlib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO, Protocol, Self

import orjson

_MAGIC = b"scalix-backup 1\n"
_FRAME = struct.Struct(">IB")
_FRAME_BYTES = 1 << 18
_MOST_BYTES = 1 << 30
_KEY_BYTES = 32


class BadBackup(Exception):
    """The file is no whole backup, or can't be read with the keys at hand. The text says which, without a secret."""


def backup_keys(text: str | None) -> list[bytes]:
    """The keys of `SCALIX_BACKUP_KEY`: separated by commas, the first one encrypts. Raises `ValueError`."""
    keys = []
    for word in filter(None, map(str.strip, (text or "").split(","))):
        try:
            key = base64.b64decode(word, altchars=b"-_", validate=True)
        except ValueError:
            key = b""
        if len(key) != _KEY_BYTES:
            raise ValueError("no key of 32 bytes in base64")
        keys.append(key)
    return keys


class _Seal(Protocol):
    def seal(self, number: int, last: bool, body: bytes) -> bytes: ...
    def open(self, number: int, last: bool, sealed: bytes) -> bytes: ...


class _Checked:
    """Without a key: who changes a frame by accident is found out."""

    def __init__(self, head: bytes) -> None:
        self._head = head

    def seal(self, number: int, last: bool, body: bytes) -> bytes:
        return body + self._sum(number, last, body)

    def open(self, number: int, last: bool, sealed: bytes) -> bytes:
        body = sealed[:-32]
        if self._sum(number, last, body) != sealed[-32:]:
            raise BadBackup(f"it is damaged: the checksum of part {number} is wrong")
        return body

    def _sum(self, number: int, last: bool, body: bytes) -> bytes:
        return sha256(b"%s%d %d " % (self._head, number, last) + body).digest()


class _Encrypted:
    def __init__(self, head: bytes, salt: bytes, key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
        from cryptography.hazmat.primitives.hashes import SHA256
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF

        # A key of the file's own: a number can't come twice under one key, however many files there are.
        own = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=salt, info=b"scalix-backup 1").derive(key)
        self._cipher = AESGCM(own)
        self._head = head

    def seal(self, number: int, last: bool, body: bytes) -> bytes:
        return self._cipher.encrypt(number.to_bytes(12, "big"), body, self._head + bytes([last]))

    def open(self, number: int, last: bool, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag

        try:
            return self._cipher.decrypt(number.to_bytes(12, "big"), sealed, self._head + bytes([last]))
        except InvalidTag:
            raise BadBackup(f"it is damaged or was changed: part {number} can't be decrypted") from None


class BackupWriter:
    """Writes a file (mode 0600) at `path`, which must not exist. Blocking; may raise `OSError`."""

    def __init__(self, path: Path, about: Mapping[str, Any], keys: Sequence[bytes]) -> None:
        salt = secrets.token_bytes(32) if keys else b""
        head = _MAGIC + orjson.dumps({**about, "salt": salt.hex()}) + b"\n"
        digest = sha256(head).digest()
        self._seal: _Seal = _Encrypted(digest, salt, keys[0]) if keys else _Checked(digest)
        self._file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        self._file.write(head)
        self._lines: list[bytes] = []
        self._bytes = self._number = 0

    def add(self, line: Sequence[Any]) -> None:
        """Add a line: a list that JSON can hold."""
        text = orjson.dumps(line)
        self._lines.append(text)
        self._bytes += len(text)
        if self._bytes >= _FRAME_BYTES:
            self._write(last=False)

    def close(self) -> int:
        """Finish the file, on disk; its size in bytes."""
        self._write(last=True)
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        return size

    def abandon(self) -> None:
        """Let go of the file as it is: nobody will take it for a whole one."""
        self._file.close()

    def _write(self, *, last: bool) -> None:
        body = zlib.compress(b"\n".join(self._lines), 3)
        sealed = self._seal.seal(self._number, last, body)
        self._file.write(_FRAME.pack(len(sealed), last) + sealed)
        self._lines, self._bytes, self._number = [], 0, self._number + 1


class BackupReader:
    """Reads a file. Blocking; everything may raise `BadBackup` and `OSError`."""

    def __init__(self, path: Path, keys: Sequence[bytes]) -> None:
        self._path = path
        self._keys = keys
        with self._opened() as file:
            self.about: dict[str, Any] = self._head(file)[0]

    @classmethod
    def whole(cls, path: Path, keys: Sequence[bytes]) -> Self:
        """One whose every line has been read once."""
        reader = cls(path, keys)
        for _ in reader.lines():
            pass
        return reader

    @property
    def is_encrypted(self) -> bool:
        """Whether it can be read with a key only."""
        return bool(self.about["salt"])

    def lines(self) -> Iterator[list[Any]]:
        """All lines in order. What is wrong with the file may come to light at its end only."""
        with self._opened() as file:
            about, digest = self._head(file)
            salt = bytes.fromhex(about["salt"])
            seals = self._seals(digest, salt)
            seal = None if salt else seals[0]
            number, last = 0, False
            while not last:
                size, flag = _FRAME.unpack(_exactly(file, _FRAME.size))
                last = bool(flag)
                sealed = _exactly(file, size)
                seal = seal or _fitting(seals, last, sealed)
                body = zlib.decompress(seal.open(number, last, sealed))
                yield from map(orjson.loads, body.split(b"\n") if body else ())
                number += 1
            if file.read(1):
                raise BadBackup("something follows its end")

    def _opened(self) -> BinaryIO:
        return self._path.open("rb")

    def _head(self, file: BinaryIO) -> tuple[dict[str, Any], bytes]:
        if file.read(len(_MAGIC)) != _MAGIC:
            raise BadBackup("it is no backup of this gateway, or one of a later version")
        line = file.readline(1 << 16)
        try:
            about = orjson.loads(line)
            bytes.fromhex(about["salt"]), int(about["created_ms"])
        except (ValueError, KeyError, TypeError):
            raise BadBackup("it is damaged: its first line can't be read") from None
        return about, sha256(_MAGIC + line).digest()

    def _seals(self, digest: bytes, salt: bytes) -> list[_Seal]:
        if not salt:
            return [_Checked(digest)]
        if not self._keys:
            raise BadBackup("it is encrypted, and SCALIX_BACKUP_KEY is not set")
        return [_Encrypted(digest, salt, key) for key in self._keys]


def _fitting(seals: Sequence[_Seal], last: bool, sealed: bytes) -> _Seal:
    """The one of several keys that opens the first frame."""
    for seal in seals:
        try:
            seal.open(0, last, sealed)
        except BadBackup:
            continue
        return seal
    raise BadBackup("no key of SCALIX_BACKUP_KEY opens it, or it was changed")


def _exactly(file: BinaryIO, size: int) -> bytes:
    found = file.read(size) if size <= _MOST_BYTES else b""
    if len(found) != size:
        raise BadBackup("it was cut short")
    return found
