"""Export, erasure and retention, put together."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.service.audit.audit_log import AuditLog
from scalix.service.audit.audit_names import AuditNames
from scalix.service.audit.audit_reading import AuditReading
from scalix.service.identity.users import UserDirectory
from scalix.service.identity.virtual_keys import VirtualKeys
from scalix.service.ledger.archive import Archive
from scalix.service.ledger.retention import ExpiredKeys, RetentionJob
from scalix.service.policy_source import PolicySource
from scalix.service.privacy.privacy import Privacy
from scalix.store.base import UserStore
from scalix.store.connection.breaker import Breaker, guarded
from scalix.store.connection.client import StoreClient
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.journal.set_aside import SetAside
from scalix.store.keys import Keys
from scalix.store.privacy.redis_erasure import RedisErasure
from scalix.store.privacy.redis_files import RedisFiles
from scalix.store.privacy.redis_personal_data import RedisPersonalData
from scalix.store.privacy.redis_retention import RedisRetention
from scalix.store.records.key_store import KeyStore
from scalix.store.records.pseudonyms import Pseudonyms
from scalix.store.records.redis_names import RedisNames

# Whole users are read and removed: nobody's request waits for that, and it takes what it takes.
TIMEOUT_MS = 5_000
_CONNECTIONS = 2


@dataclass(frozen=True)
class PrivacyParts:
    """What the gateway does for users' data. `client` is theirs alone."""

    privacy: Privacy
    retention: RetentionJob
    client: StoreClient


def build_pseudonyms(session: StoreSession, breaker: Breaker, erased: Pseudonyms) -> AuditNames:
    """The names of users in the audit log."""

    async def erased_key(subject: str) -> str:
        return session.names.erased(subject, await erased.of(subject))

    return AuditNames(guarded(RedisNames(session, erased_key), breaker))


def build_privacy(
    url: str,
    keys: Keys,
    *,
    users: UserStore,
    key_store: KeyStore,
    pseudonyms: AuditNames,
    audit: AuditLog,
    audit_reading: AuditReading,
    policy: PolicySource,
    directory: UserDirectory,
    virtual_keys: VirtualKeys,
    state_dir: Path,
    replay: Callable[[], Awaitable[object]],
    now_ms: Callable[[], int],
    archive: Archive,
) -> PrivacyParts:
    """The use cases, over the store at `url`."""
    client = connect(url, timeout_ms=TIMEOUT_MS, connections=_CONNECTIONS)
    session = StoreSession(client, keys, timeout_ms=TIMEOUT_MS)
    erased = Pseudonyms(session)
    set_aside = SetAside(state_dir / "journal")

    def forget(user_id: str, records: Sequence[KeyRecord]) -> None:
        directory.forget(user_id)
        for record in records:
            virtual_keys.forget(record)

    async def archive_files() -> int:
        return await archive.remove_old() or 0

    privacy = Privacy(
        users=users,
        keys=key_store,
        data=RedisPersonalData(session, erased),
        erasure=RedisErasure(session, erased),
        pseudonyms=pseudonyms,
        audit=audit,
        audit_reading=audit_reading,
        store_files=RedisFiles(session),
        files=[set_aside, archive],
        archive=archive,
        policy=policy,
        replay=replay,
        forget=forget,
        now_ms=now_ms,
    )
    store = RedisRetention(session)
    retention = RetentionJob(
        store,
        audit,
        {
            "audit_entries": audit.trim,
            "expired_keys": ExpiredKeys(key_store, policy, audit, forget=virtual_keys.forget, now_ms=now_ms),
            "dead_pointers": store.remove_dead_pointers,
            "books": lambda: store.remove_books(policy.current.retention),
            "credits": lambda: store.remove_credits(policy.current.retention.days_days),
            "archive_files": archive_files,
        },
        of_this_machine={
            "set_aside_files": lambda: set_aside.remove_older(policy.current.privacy.set_aside_days),
        },
    )
    return PrivacyParts(privacy, retention, client)
