"""Virtual keys as credentials."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from scalix.domain.bounded import Bounded
from scalix.domain.errors import GatewayError, InvalidApiKey, IpBlocked, KeyBlocked
from scalix.domain.identity.addresses import parse_address
from scalix.domain.identity.key_secrets import PREFIX, digest_of, is_well_formed
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.calendar import rfc3339
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import UNDECIDED, WRONG_KEY, Credential, Undecided
from scalix.service.identity.users import UserDirectory
from scalix.store.base import UserRecord
from scalix.store.records.redis_keys import KeyStore

CACHED_KEYS = 50_000
CACHED_WRONG_KEYS = 10_000
WRONG_FOR_MS = 1_000


@dataclass(eq=False)
class VirtualKeys:
    """Virtual keys (`sk-…`), as a `CredentialKind`. `now_ms` is Unix time, by which keys expire.

    Records are cached by the SHA-256 of the whole secret. A cached one is never trusted for long: admission compares
    its version in the step that reserves, so that what was revoked, blocked or changed anywhere holds for the next
    request without a round trip of its own. A key that is not known is looked up once a second at most.
    """

    keys: KeyStore
    users: UserDirectory
    now_ms: Callable[[], int]
    cached_keys: int = CACHED_KEYS
    cached_wrong_keys: int = CACHED_WRONG_KEYS

    def __post_init__(self) -> None:
        self._records: Bounded[str, KeyRecord] = Bounded(self.cached_keys)
        self._wrong: Bounded[str, int] = Bounded(self.cached_wrong_keys)

    async def caller(self, credential: Credential) -> Caller | None:
        """As `CredentialKind.caller`. Raises also `KeyBlocked`, `IpBlocked`, `UserBlocked`, `StoreUnavailable`."""
        token, address = credential.token, credential.address
        digest = self._digest_of(token)
        if digest is None:
            return None
        record = self._records.used(digest)
        if record is None:
            return await self._first_seen(digest, address)
        user = await self.users.record(record.user_id)
        if user.blocked or self._problem(digest, record, address) is not None:
            # Admission compares versions only for those it lets through: what was lifted elsewhere shows here.
            now = await self.keys.versions(record.key_id, record.user_id)
            if user.unread or now != (record.version, user.version):
                return await self._reread(digest, record, address)
        return self._caller(digest, record, user, address)

    def known(self, credential: Credential) -> Caller | Undecided | None:
        """See `CredentialKind`. What is wrong with a key that there is takes a look at the store."""
        digest = self._digest_of(credential.token)
        if digest is None:
            return None
        record = self._records.used(digest)
        user = self.users.cached(record.user_id) if record is not None else None
        if record is None or user is None or user.blocked:
            return UNDECIDED
        if self._problem(digest, record, credential.address) is not None:
            return UNDECIDED
        return self._caller(digest, record, user, credential.address)

    def _digest_of(self, token: str | None) -> str | None:
        """The digest of a key that there may be; `None` for what is no key. Raises `InvalidApiKey`."""
        if not token or not token.startswith(PREFIX):
            return None
        if not is_well_formed(token):
            raise _wrong("key-malformed")
        digest = digest_of(token)
        if digest not in self._records and self._wrong.get(digest, 0) > self.now_ms():
            raise _wrong("key-unknown")
        return digest

    async def holder(self, digest: str, address: str) -> Caller:
        """Who has shown the key with this digest, by what the store holds now. Raises as `caller` does."""
        record = self._remembered(digest, await self.keys.find(digest))
        return self._caller(digest, record, await self.users.record(record.user_id, fresh=True), address)

    def forget(self, record: KeyRecord) -> None:
        """Drop what is cached of a key that was just written here."""
        for digest in (record.digest, *record.former):
            self._records.pop(digest, None)
            self._wrong.pop(digest, None)

    async def _reread(self, digest: str, record: KeyRecord, address: str) -> Caller:
        """The caller by what the store holds now, in one round trip: the reads of key and user go together."""
        found, user = await asyncio.gather(
            self.keys.get(record.key_id, record.user_id), self.users.record(record.user_id, fresh=True)
        )
        return self._caller(digest, self._remembered(digest, found), user, address)

    async def _first_seen(self, digest: str, address: str) -> Caller:
        record = self._remembered(digest, await self.keys.find(digest))
        user = await self.users.record(record.user_id)
        if user.blocked:
            user = await self.users.record(record.user_id, fresh=True)
        return self._caller(digest, record, user, address)

    def _caller(self, digest: str, record: KeyRecord, user: UserRecord, address: str) -> Caller:
        problem = self._problem(digest, record, address)
        if problem is not None:
            raise problem
        caller = self.users.caller_of(user)
        return replace(caller, key=record, reread=partial(self._reread, digest, record, address))

    def _problem(self, digest: str, record: KeyRecord, address: str) -> GatewayError | None:
        now_ms = self.now_ms()
        problem: GatewayError | None = None
        if not record.accepts(digest, now_ms):
            problem = _wrong("key-replaced")
        elif not record.permits(parse_address(address)):  # before all that would tell a stranger of the key's state
            problem = IpBlocked("This API key may not be used from your address. Ask the operator of this gateway.")
        elif record.expires_ms is not None and record.has_expired(now_ms):
            when = rfc3339(record.expires_ms)
            message = f"The API key expired at {when}. Ask the operator of this gateway for a new one."
            problem = InvalidApiKey(message, reason="key-expired")
        elif record.blocked:
            problem = KeyBlocked("This API key is blocked. Ask the operator of this gateway.")
        if problem is not None:
            problem.who = f"key:{record.key_id} {record.user_id}"
        return problem

    def _remembered(self, digest: str, record: KeyRecord | None) -> KeyRecord:
        """Cache what was read. Raises `InvalidApiKey` for nothing."""
        if record is None:
            self._records.pop(digest, None)
            self._wrong[digest] = self.now_ms() + WRONG_FOR_MS
            raise _wrong("key-unknown")
        self._wrong.pop(digest, None)
        self._records[digest] = record
        return record


def _wrong(reason: str) -> InvalidApiKey:
    """One text for all that is no key of ours, whatever the `reason`, which the audit log alone is told."""
    return InvalidApiKey(WRONG_KEY, reason=reason)
