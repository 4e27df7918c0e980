"""Where issuers publish their key sets, and the last good copy of one on disk. No call blocks the event loop."""

import asyncio
import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import httpx

from scalix.store.base import StoreError

FETCH_TIMEOUT_S = 3.0
MAX_KEY_SET_BYTES = 256 * 1024


class KeySetUnavailable(StoreError):
    """The key set could not be read. `args[0]` says why."""


class KeySetFile:
    """A key set in a file of the operator's."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    async def read(self) -> bytes:
        """The file as it is now. Raises `KeySetUnavailable`."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> bytes:
        try:
            with self._path.open("rb") as file:
                found = file.read(MAX_KEY_SET_BYTES + 1)
        except OSError as error:
            raise KeySetUnavailable(f"can't read it: {error.strerror}") from None
        _check_size(found)
        return found


class KeySetUrl:
    """A key set that an issuer publishes. Redirections are not followed: the operator names the address itself."""

    def __init__(self, url: str, *, timeout_s: float = FETCH_TIMEOUT_S) -> None:
        self._url = url
        self._timeout_s = timeout_s

    def __str__(self) -> str:
        return self._url

    async def read(self) -> bytes:
        """What the issuer answers now. Raises `KeySetUnavailable`."""
        try:
            # Making a client loads the certificates of all authorities, some 20 ms.
            client = await asyncio.to_thread(httpx.AsyncClient, follow_redirects=False)
            async with asyncio.timeout(self._timeout_s), client, client.stream("GET", self._url) as answer:
                if answer.status_code != 200:
                    raise KeySetUnavailable(f"the answer was {answer.status_code}")
                found = bytearray()
                async for part in answer.aiter_bytes():
                    found += part
                    _check_size(found)
                return bytes(found)
        except TimeoutError:
            raise KeySetUnavailable(f"no answer within {self._timeout_s:.0f} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise KeySetUnavailable(f"the request failed: {type(error).__name__}") from None


class KeptCopy:
    """The last good copy of one key set, so that a gateway which starts while the issuer is away knows its keys.

    Public keys only. The file is replaced as a whole, so that workers may share it.
    """

    def __init__(self, directory: Path, name: str) -> None:
        self._name = name
        self._path = directory / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.json"

    async def read(self) -> dict[str, Any] | None:
        """The key set as kept, or `None`."""
        return await asyncio.to_thread(self._read)

    async def write(self, key_set: dict[str, Any]) -> None:
        """Keep a key set. Raises `KeySetUnavailable`."""
        await asyncio.to_thread(self._write, key_set)

    def _read(self) -> dict[str, Any] | None:
        try:
            kept = json.loads(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(kept, dict) or kept.get("source") != self._name:
            return None
        key_set = kept.get("key_set")
        return key_set if isinstance(key_set, dict) else None

    def _write(self, key_set: dict[str, Any]) -> None:
        text = json.dumps({"source": self._name, "key_set": key_set}).encode()
        temporary = None
        try:
            if self._path.exists() and self._path.read_bytes() == text:
                return
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, temporary = tempfile.mkstemp(dir=self._path.parent)
            with os.fdopen(descriptor, "wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(self._path)
        except OSError as error:
            if temporary is not None:
                Path(temporary).unlink(missing_ok=True)
            raise KeySetUnavailable(f"can't keep a copy in {self._path.parent}: {error.strerror}") from None


def _check_size(found: bytes | bytearray) -> None:
    if len(found) > MAX_KEY_SET_BYTES:
        raise KeySetUnavailable(f"it has more than {MAX_KEY_SET_BYTES} bytes")
