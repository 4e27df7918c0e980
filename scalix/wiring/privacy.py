"""Builds export, erasure and retention of personal data."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.service.audit.audit_parts import AuditParts
from scalix.service.clock import now_ms
from scalix.service.identity.virtual_keys import VirtualKeys
from scalix.service.ledger.archive import Archive
from scalix.service.ledger.retention import ExpiredKeys, RetentionJob
from scalix.service.privacy.privacy import PersonalFiles, PersonalStores, Privacy
from scalix.store.connection.session import StoreSession
from scalix.store.journal.set_aside import SetAside
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.privacy.redis_files import StoreFiles
from scalix.store.privacy.redis_personal_data import PersonalDataStore
from scalix.store.privacy.redis_retention import RetentionStore
from scalix.store.records.pseudonyms import Pseudonyms
from scalix.wiring.identity import CallerParts
from scalix.wiring.store import StoreParts

# All data of a user is read or removed in one call, for which no request waits.
TIMEOUT_MS = 5_000


@dataclass(frozen=True)
class PrivacyParts:
    """The use cases for users' personal data."""

    privacy: Privacy
    retention: RetentionJob


def build_privacy(
    store: StoreParts,
    audit: AuditParts,
    callers: CallerParts,
    archive: Archive,
    *,
    replay: Callable[[], Awaitable[object]],
    note: Callable[[str], Awaitable[object]],
) -> PrivacyParts:
    """Build the use cases, with a client of their own. `replay` writes what is in the journal to the store, `note`
    notes an erasure for backups."""
    session = store.session_for_long_calls(TIMEOUT_MS)
    erased = Pseudonyms(session)
    set_aside = SetAside(store.state_dir / "journal")

    def forget(user_id: str, records: Sequence[KeyRecord]) -> None:
        callers.users.forget(user_id)
        for record in records:
            callers.virtual_keys.forget(record)

    stores = PersonalStores(
        store.users,
        store.keys,
        PersonalDataStore(session, erased),
        ErasureStore(session, erased),
        StoreFiles(session),
        callers.sign_ins.store,
    )
    privacy = Privacy(
        stores, audit, PersonalFiles([set_aside, archive], archive, replay, note), store.policy, forget, now_ms
    )
    return PrivacyParts(privacy, _retention(store, session, audit, callers.virtual_keys, archive, set_aside))


def _retention(
    store: StoreParts,
    session: StoreSession,
    audit: AuditParts,
    virtual_keys: VirtualKeys,
    archive: Archive,
    set_aside: SetAside,
) -> RetentionJob:
    policy, kept = store.policy, RetentionStore(session)

    async def archive_files() -> int:
        return await archive.remove_old() or 0

    expired = ExpiredKeys(store.keys, policy, audit.log, forget=virtual_keys.forget, now_ms=now_ms)
    return RetentionJob(
        kept,
        audit.log,
        {
            "audit_entries": audit.log.trim,
            "expired_keys": expired,
            "dead_pointers": kept.remove_dead_pointers,
            "books": lambda: kept.remove_books(policy.current.retention),
            "credits": lambda: kept.remove_credits(policy.current.retention.days_days),
            "archive_files": archive_files,
        },
        of_this_machine={"set_aside_files": lambda: set_aside.remove_older(policy.current.privacy.set_aside_days)},
    )
