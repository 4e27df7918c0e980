"""An issuer's public keys: read anew in the background, and at once for a key that is not known, but not at will."""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from scalix.store.connection.background import in_background
from scalix.store.key_set_sources import KeptCopy, KeySetFile, KeySetUnavailable, KeySetUrl

# Tokens with made-up key names must not make us ask the issuer more often than this.
COOL_DOWN_MS = 10_000
MAX_KEYS = 100
_RSA_BITS = range(2048, 8193)
# What a public key consists of, by its kind (RFC 7518 and RFC 8037). All else, a private part above all, is not kept.
_PUBLIC_PARTS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}

log = logging.getLogger("scalix.tokens")

VerifyKey = bytes | RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey


def mark_of(key: VerifyKey) -> str:
    """A digest that tells keys apart."""
    raw = key if isinstance(key, bytes) else key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return sha256(raw).hexdigest()[:32]


class SecretKey:
    """A shared secret. The name of a key in a token means nothing."""

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    async def key(self, kid: str | None, algorithm: str) -> VerifyKey | None:
        """The secret, whatever it is called."""
        return self._secret

    async def has(self, mark: str) -> bool:
        """Whether the secret is still the one with this mark."""
        return mark_of(self._secret) == mark

    async def refresh(self) -> None:
        """There is nothing to be read anew."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a key set, for one algorithm."""

    kid: str | None
    algorithm: str
    key: VerifyKey


@dataclass(eq=False)
class KeySetKeys:
    """The keys of a published key set. While the publisher is away, or publishes nothing usable, the last good ones
    hold. `changed` is called whenever the keys are other ones than before. Times are in ms of `now_ms`.
    """

    source: KeySetFile | KeySetUrl
    refresh_s: int
    now_ms: Callable[[], int]
    copy: KeptCopy | None = None
    changed: Callable[[], None] = lambda: None
    _keys: tuple[PublicKey, ...] = field(default=(), init=False)
    _copy_was_read: bool = field(default=False, init=False)
    _read_ms: int | None = field(default=None, init=False)
    _tried_ms: int | None = field(default=None, init=False)
    _reading: asyncio.Task[None] | None = field(default=None, init=False)

    async def key(self, kid: str | None, algorithm: str) -> VerifyKey | None:
        """The key of this name for this algorithm. An unknown one makes the set be read anew, at most once in
        `COOL_DOWN_MS`. Raises `KeySetUnavailable` while no keys are known at all."""
        await self._read_copy()
        found = self._find(kid, algorithm)
        if found is None and self._may_try():
            await self._read_anew()
            found = self._find(kid, algorithm)
        elif self._is_due():
            self._start_reading()
        if not self._keys:
            raise KeySetUnavailable("no keys are known yet")
        return found

    async def has(self, mark: str) -> bool:
        """Whether the key with this mark is still one of them."""
        await self._read_copy()
        return any(mark_of(key.key) == mark for key in self._keys)

    async def refresh(self) -> None:
        """Read the set anew if it is older than it may be."""
        await self._read_copy()
        if self._is_due():
            await self._read_anew()

    def _find(self, kid: str | None, algorithm: str) -> VerifyKey | None:
        found = [key.key for key in self._keys if key.algorithm == algorithm and (kid is None or key.kid == kid)]
        # Without a name, or with one that two keys have, it would be a guess which key was meant.
        return found[0] if len(found) == 1 else None

    def _is_due(self) -> bool:
        return (self._read_ms is None or self.now_ms() - self._read_ms >= self.refresh_s * 1000) and self._may_try()

    def _may_try(self) -> bool:
        if self._reading is not None:
            return True
        return self._tried_ms is None or self.now_ms() - self._tried_ms >= COOL_DOWN_MS

    def _start_reading(self) -> "asyncio.Task[None]":
        if self._reading is None or self._reading.done():
            self._reading = in_background(self._read())
        return self._reading

    async def _read_anew(self) -> None:
        # A client that leaves must not end the reading that others wait for.
        await asyncio.wait([self._start_reading()])

    async def _read(self) -> None:
        self._tried_ms = self.now_ms()
        try:
            raw = await self.source.read()
            self._take(parsed_key_set(raw))
            self._read_ms = self.now_ms()
            await self._keep(raw)
        except KeySetUnavailable as fault:
            held = f"the last good one holds, of {len(self._keys)} keys" if self._keys else "no token can be checked"
            log.warning("the key set %s is not usable: %s; %s", self.source, fault, held)
        except Exception as error:
            log.error("reading the key set %s failed: %r", self.source, error)
        finally:
            self._reading = None

    async def _keep(self, raw: bytes) -> None:
        try:
            if self.copy is not None:
                await self.copy.write(published(raw))
        except KeySetUnavailable as fault:
            log.warning("the key set %s would be lost at a restart: %s", self.source, fault)

    async def _read_copy(self) -> None:
        if self._keys or self.copy is None or self._copy_was_read:
            return
        kept = await self.copy.read()
        if not self._copy_was_read and not self._keys and kept is not None:
            try:
                self._take(parsed_key_set(json.dumps(kept).encode()))
                log.info("the key set %s: the kept copy holds until it is read anew", self.source)
            except KeySetUnavailable as fault:
                log.warning("the kept copy of the key set %s is not usable: %s", self.source, fault)
        self._copy_was_read = True

    def _take(self, keys: tuple[PublicKey, ...]) -> None:
        if keys != self._keys:
            self._keys = keys
            self.changed()


Keys = SecretKey | KeySetKeys
"""What the tokens of one issuer may be signed with."""


def published(raw: bytes) -> dict[str, Any]:
    """A key set with nothing in it but public keys, all that we keep of what an issuer publishes."""
    kept = []
    for entry in _entries(raw):
        names = ("kty", "kid", "use", "alg", "key_ops", *_PUBLIC_PARTS.get(entry.get("kty", ""), ()))
        kept.append({name: entry[name] for name in names if name in entry})
    return {"keys": kept}


def parsed_key_set(raw: bytes) -> tuple[PublicKey, ...]:
    """The usable keys of a key set (RFC 7517). Raises `KeySetUnavailable` if there is none."""
    keys = tuple(key for entry in _entries(raw) if (key := _key(entry)) is not None)
    if not keys:
        raise KeySetUnavailable("it holds no usable public key for RS256, ES256 or EdDSA")
    return keys


def _entries(raw: bytes) -> list[dict[str, Any]]:
    try:
        key_set = json.loads(raw)
    except (ValueError, RecursionError):
        raise KeySetUnavailable("it is not JSON") from None
    entries = key_set.get("keys") if isinstance(key_set, dict) else None
    if not isinstance(entries, list):
        raise KeySetUnavailable("it has no list 'keys'")
    return [entry for entry in entries[:MAX_KEYS] if isinstance(entry, dict) and isinstance(entry.get("kty"), str)]


def _key(entry: Mapping[str, Any]) -> PublicKey | None:
    """The key of one entry; `None` for those that no token of ours can be signed with, shared secrets among them."""
    kid, operations = entry.get("kid"), entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(operations, list) or "verify" not in operations:
        return None
    if entry["kty"] not in _PUBLIC_PARTS or not (kid is None or isinstance(kid, str)):
        return None
    public = {name: entry.get(name) for name in ("kty", *_PUBLIC_PARTS[entry["kty"]])}
    try:
        named = {"RSA": "RS256", "EC": "ES256"}.get(entry["kty"], "EdDSA")
        key = jwt.PyJWK.from_dict(public, algorithm=named).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    algorithm = _algorithm_of(key)
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    return PublicKey(kid, algorithm, key)


def _algorithm_of(key: VerifyKey) -> str | None:
    if isinstance(key, RSAPublicKey):
        return "RS256" if key.key_size in _RSA_BITS else None
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256" if isinstance(key.curve, SECP256R1) else None
    return "EdDSA" if isinstance(key, Ed25519PublicKey | Ed448PublicKey) else None
