"""The process in which a backup is made that is due: with a worker's environment, a launcher's or plain LiteLLM's."""

import base64
import ctypes
import errno
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scalix.service.backup.making import verify
from scalix.store.backup.redis_backups import BackupStore
from tests.e2e.gateways import ROOT
from tests.store.backup_rig import parts_of, session_at

KEY = base64.b64encode(bytes(range(32))).decode()
CONFIG = """
model_list:
- {{model_name: free-x, litellm_params: {{model: openai/x, api_key: sk-of-the-tests}}}}
scalix:
  default_tier: free
  tiers: {{free: {{models: [free-x]}}}}
  backup: {{to: {to}}}
"""


def no_priorities() -> None:
    """What `SystemCallFilter=~@resources` does to a process: `setpriority` fails with EPERM."""
    number = {"x86_64": 141, "aarch64": 140}[platform.machine()]
    steps = [(0x20, 0, 0, 0), (0x15, 0, 1, number), (0x06, 0, 0, 0x50000 | errno.EPERM), (0x06, 0, 0, 0x7FFF0000)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
    program = struct.pack("HxxxxxxQ", len(steps), ctypes.addressof(code))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, program, 0, 0):  # no new rights, then the filter
        raise OSError(ctypes.get_errno(), "no filter")


def made(
    folder: Path, url: str, prefix: str, token: str, before: Callable[[], None] | None = None, /, **more: str
) -> subprocess.CompletedProcess[str]:
    """What a worker without a launcher, as in plain mode, starts."""
    (folder / "config.yaml").write_text(CONFIG.format(to=folder / "backups"))
    environ = {
        "PATH": os.environ["PATH"],
        "SCALIX_STORE_URL": url,
        "SCALIX_KEY_PREFIX": prefix,
        "SCALIX_CONFIG": str(folder / "config.yaml"),
        "SCALIX_STATE_DIR": str(folder / "state"),
        "SCALIX_BACKUP_KEY": KEY,
        **more,
    }
    command = [sys.executable, "-m", "scalix.wiring.backup_process", token]
    return subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=60, preexec_fn=before)


async def test_a_unit_that_forbids_a_lower_priority_has_its_backups(
    store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    async with session_at(store_url, key_prefix) as session:
        store = BackupStore(session)
        async with store.locked():
            done = made(tmp_path, store_url, key_prefix, store.token, no_priorities)
        assert (done.returncode, done.stderr) == (0, "")
        assert await store.last() is not None


async def test_the_process_makes_the_backup_of_the_holder_of_the_lock_and_of_nobody_else(
    store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    async with session_at(store_url, key_prefix) as session:
        store = BackupStore(session)
        async with store.locked():
            other = made(tmp_path, store_url, key_prefix, "another")
            assert (other.returncode, "another process is at the backups" in other.stderr) == (1, True)
            done = made(tmp_path, store_url, key_prefix, store.token)
            assert (done.returncode, done.stderr) == (0, "")
        last = await store.last()
        assert last is not None
        assert verify(parts_of(session, tmp_path, key=KEY).place, last.name).is_encrypted


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"SCALIX_STORE_URL": "redis://127.0.0.1:1/0"}, "the store failed"),
        ({"SCALIX_BACKUP_KEY": "short"}, "SCALIX_BACKUP_KEY holds no key of 32 bytes"),
    ],
)
def test_what_keeps_it_from_doing_so_is_its_last_line(
    store_url: str, key_prefix: str, tmp_path: Path, changed: dict[str, str], told: str
) -> None:
    done = made(tmp_path, store_url, key_prefix, "one", **changed)
    assert done.returncode == 1
    assert told in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
