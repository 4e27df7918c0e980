"""`python -m scalix.wiring.backup_process TOKEN`: makes the backup that a worker has found to be due.

A process of its own, of the least priority: what it reads and compresses takes no time from requests. TOKEN is that of
the lock that the worker holds meanwhile; the environment is the worker's.
"""

import asyncio
import os
import sys
from contextlib import suppress

from scalix.domain.backup import BackupSettings
from scalix.launch.problems import LaunchError
from scalix.launch.processes.child_process import end_with
from scalix.service.backup.making import BackupRefused
from scalix.store.backup.redis_snapshot import TIMEOUT_MS
from scalix.store.backup.targets import TargetFailed
from scalix.store.base import StoreError
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.wiring.backup import build_backups, place_of
from scalix.wiring.environment import key_names, needed, policy_of, state_dir_of

_CONNECTIONS = 2


def main() -> int:
    """Make the backup. Returns the exit code; what is wrong stands in one line on standard error."""
    end_with(os.getppid())
    with suppress(OSError):  # a unit may forbid it, and the backup counts for more
        os.nice(19)
    try:
        asyncio.run(_make(policy_of(os.environ).backup, sys.argv[1]))
    except (LaunchError, BackupRefused, TargetFailed, StoreError) as fault:
        print(fault, file=sys.stderr)
        return 1
    except OSError as error:
        print((error.strerror or type(error).__name__).lower(), file=sys.stderr)
        return 1
    return 0


async def _make(settings: BackupSettings, token: str) -> None:
    environ = os.environ
    state_dir = state_dir_of(environ)
    client = connect(needed(environ, "SCALIX_STORE_URL"), timeout_ms=TIMEOUT_MS, connections=_CONNECTIONS)
    try:
        session = StoreSession(client, key_names(environ), timeout_ms=TIMEOUT_MS)
        parts = build_backups(session, state_dir, place_of(settings, state_dir, environ), token)
        await parts.making.create(settings)
    finally:
        await client.aclose()


if __name__ == "__main__":
    sys.exit(main())
