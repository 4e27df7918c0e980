"""Builds the upkeep of the ledger: check, repair, archive, and the watch over the store's memory."""

import platform
from dataclasses import dataclass

from scalix.service.audit.audit_log import AuditLog
from scalix.service.clock import now_ms
from scalix.service.ledger.archive import Archive
from scalix.service.ledger.in_time import ListingInTime
from scalix.service.ledger.ledger_administration import LedgerAdministration
from scalix.service.ledger.store_memory import StoreMemory
from scalix.service.ledger.verification import LedgerCheck
from scalix.store.connection.deadline import CALL_TIMEOUT_MS
from scalix.store.ledger.archive_files import ArchiveFiles
from scalix.store.ledger.redis_archive import RedisArchive
from scalix.store.ledger.redis_figures import FiguresStore
from scalix.store.ledger.redis_in_time import InTimeStore
from scalix.store.ledger.redis_ledger_repair import TIMEOUT_MS, RedisBooks
from scalix.store.ledger.redis_memory import RedisMemory
from scalix.store.records.pseudonyms import Pseudonyms
from scalix.wiring.store import StoreParts


@dataclass(frozen=True)
class LedgerParts:
    """The parts that keep the ledger correct and small."""

    administration: LedgerAdministration
    books: RedisBooks
    check: LedgerCheck
    archive: Archive
    memory: StoreMemory
    in_time: ListingInTime


def build_ledger(store: StoreParts, audit: AuditLog) -> LedgerParts:
    """Build the use cases, with a client of their own since their calls may take long."""
    session = store.session_for_long_calls(TIMEOUT_MS)
    books = RedisBooks(session, Pseudonyms(session), lambda: store.policy.current.retention)
    host = " ".join(platform.node().split()).replace(" ", "-") or "unnamed"
    files = ArchiveFiles(store.state_dir / "archive")
    archive = Archive(RedisArchive(session), files, store.policy, now_ms=now_ms, host=host)
    figures = RedisMemory(session.within(CALL_TIMEOUT_MS), machine_bytes=store.machine_bytes)
    memory = StoreMemory(figures, archive_early=archive.run_early)
    check = LedgerCheck(books, lambda: store.policy.current.retention)
    administration = LedgerAdministration(books, check, archive, memory, store.policy, audit)
    in_time = ListingInTime(InTimeStore(session), FiguresStore(session), store.policy)
    return LedgerParts(administration, books, check, archive, memory, in_time)
