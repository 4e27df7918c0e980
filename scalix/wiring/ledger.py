"""The care of the ledger, put together: check, repair, archive, and the watch over the store's memory."""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scalix.service.audit.audit_log import AuditLog
from scalix.service.ledger.archive import Archive
from scalix.service.ledger.ledger_administration import LedgerAdministration
from scalix.service.ledger.store_memory import StoreMemory
from scalix.service.ledger.verification import LedgerCheck
from scalix.service.policy_source import PolicySource
from scalix.store.connection.client import StoreClient
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.archive_files import ArchiveFiles
from scalix.store.ledger.redis_archive import RedisArchive
from scalix.store.ledger.redis_ledger_repair import TIMEOUT_MS, RedisBooks
from scalix.store.ledger.redis_memory import RedisMemory, container_bytes
from scalix.store.records.pseudonyms import Pseudonyms

_CONNECTIONS = 2


@dataclass(frozen=True)
class LedgerParts:
    """What keeps the ledger whole and small. `client` is theirs alone: their calls may take long."""

    administration: LedgerAdministration
    books: RedisBooks
    check: LedgerCheck
    archive: Archive
    memory: StoreMemory
    client: StoreClient


def machine_bytes_of(url: str) -> Callable[[], int]:
    """How much memory the store may use of the container that it shares with this process; 0 for any other store."""
    return container_bytes if url.startswith("unix:") else lambda: 0


def build_ledger(
    url: str,
    keys: Keys,
    *,
    pseudonyms: Pseudonyms,
    audit: AuditLog,
    policy: PolicySource,
    state_dir: Path,
    now_ms: Callable[[], int],
) -> LedgerParts:
    """The use cases, over the store at `url`."""
    client = connect(url, timeout_ms=TIMEOUT_MS, connections=_CONNECTIONS)
    session = StoreSession(client, keys, timeout_ms=TIMEOUT_MS)
    pseudonyms = Pseudonyms(session)
    books = RedisBooks(session, pseudonyms, lambda: policy.current.retention)
    host = " ".join(platform.node().split()).replace(" ", "-") or "unnamed"
    files = ArchiveFiles(state_dir / "archive")
    archive = Archive(RedisArchive(session), files, policy, now_ms=now_ms, host=host)
    memory = StoreMemory(
        RedisMemory(session.within(CALL_TIMEOUT_MS), machine_bytes=machine_bytes_of(url)),
        archive_early=archive.run_early,
    )
    check = LedgerCheck(books, lambda: policy.current.retention)
    administration = LedgerAdministration(books, check, archive, memory, policy, audit)
    return LedgerParts(administration, books, check, archive, memory, client)
