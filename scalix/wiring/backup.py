"""Builds backups: for the gateway, which makes them in time, and for the command, which also restores them."""

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from scalix.domain.backup import BackupSettings
from scalix.launch.problems import LaunchError, Problem
from scalix.service.backup.erasures import ErasureNotes
from scalix.service.backup.making import BackupMaking
from scalix.service.backup.place import BackupPlace
from scalix.service.backup.restoring import RestoreStores, Restoring
from scalix.service.backup.schedule import BackupSchedule
from scalix.store.backup.backup_file import backup_keys
from scalix.store.backup.local_files import LocalFiles
from scalix.store.backup.redis_backups import BackupStore
from scalix.store.backup.redis_erasures import ErasedStore
from scalix.store.backup.redis_restore import RestoreStore
from scalix.store.backup.redis_snapshot import TIMEOUT_MS
from scalix.store.backup.targets import target_at
from scalix.store.connection.session import StoreSession
from scalix.store.journal.set_aside import SetAside
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.privacy.redis_files import StoreFiles
from scalix.store.records.pseudonyms import Pseudonyms, PseudonymStore
from scalix.wiring.environment import state_dir_of, wrong
from scalix.wiring.store import StoreParts

KEY_NAME = "SCALIX_BACKUP_KEY"


@dataclass(frozen=True)
class BackupParts:
    """The use cases at one place."""

    place: BackupPlace
    making: BackupMaking
    restoring: Restoring


def place_of(settings: BackupSettings, state_dir: Path, environ: Mapping[str, str]) -> BackupPlace:
    """Where backups are kept, and how they are encrypted. Raises `LaunchError`."""
    if settings.to is None:
        fix = "write for example backup: {to: /var/backups/scalix} under scalix:, or name one with --to"
        raise LaunchError((Problem("config", "no place for backups is configured", fix),))
    try:
        keys = backup_keys(environ.get(KEY_NAME))
    except ValueError:
        raise wrong(f"{KEY_NAME} holds no key of 32 bytes", "write one made by: openssl rand -base64 32") from None
    return BackupPlace(target_at(settings.to, settings.endpoint, state_dir / "backup"), keys)


def build_backups(session: StoreSession, state_dir: Path, place: BackupPlace, token: str | None = None) -> BackupParts:
    """The use cases over one store. `token` shares the lock of the process that has it."""
    session = session.within(TIMEOUT_MS)
    store, files, pseudonyms = BackupStore(session, token), LocalFiles(state_dir), Pseudonyms(session)
    notes = ErasureNotes(ErasedStore(session, pseudonyms), place)
    stores = RestoreStores(
        store,
        RestoreStore(session),
        ErasureStore(session, pseudonyms),
        PseudonymStore(session, pseudonyms),
        StoreFiles(session),
    )
    restoring = Restoring(stores, files, SetAside(state_dir / "journal"), notes, place)
    return BackupParts(place, BackupMaking(store, files, notes, place), restoring)


def build_schedule(store: StoreParts, environ: Mapping[str, str]) -> BackupSchedule:
    """What makes backups in time. Its own calls are short; a backup is made by another process."""
    erased = ErasedStore(store.session, store.pseudonyms)

    @lru_cache(maxsize=1)
    def notes_at(settings: BackupSettings) -> ErasureNotes:
        return ErasureNotes(erased, place_of(settings, state_dir_of(environ), environ) if settings.to else None)

    return BackupSchedule(BackupStore(store.session), store.policy, notes_at, _in_its_own_process)


async def _in_its_own_process(token: str) -> str:
    """Make a backup in a process that no request waits for. Returns why it could not be made, or an empty text."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "scalix.wiring.backup_process", token),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        told = (await process.communicate())[1].decode(errors="replace").strip()
    except BaseException:
        process.kill()
        raise
    return "" if process.returncode == 0 else (told.splitlines() or [f"it ended with {process.returncode}"])[-1]
