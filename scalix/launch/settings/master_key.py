"""Checks the master key, and makes one for development."""

import contextlib
import os
import secrets
from pathlib import Path

from scalix.domain.identity.published_keys import is_published
from scalix.launch.problems import LaunchError, shown_path
from scalix.launch.processes.private_directory import draft_of, make_private

MASTER_KEY_FILE = "master.key"
SHORTEST_PRODUCTION_KEY = 16
KEY_BITS = 256
HOW_TO_MAKE_ONE = 'write one made by: echo "sk-$(openssl rand -hex 32)"'


def master_key_problem(key: str | None, scalix_env: str) -> tuple[str, str] | None:
    """Return what is wrong with `LITELLM_MASTER_KEY` and what to write instead, or `None`. The texts never hold
    the key.

    Only development may go without one; only production refuses published and short ones.
    """
    production, what = scalix_env == "production", ""
    if key is None or not key.strip():
        what = "" if scalix_env == "development" else f"is not set, and {scalix_env} needs one"
    elif not all("!" <= character <= "~" for character in key):
        what = "holds characters that an HTTP header can't carry"
    elif production and is_published(key):
        what = "is an example that everybody can read"
    elif production and len(key) < SHORTEST_PRODUCTION_KEY:
        what = f"is shorter than {SHORTEST_PRODUCTION_KEY} characters"
    return (f"LITELLM_MASTER_KEY {what}", HOW_TO_MAKE_ONE) if what else None


def ensure_master_key(state_dir: Path) -> str:
    """Return the key in `<state_dir>/master.key`, which is made (0600) if there is none.

    Several processes that start at once all get the same key. Raises `LaunchError` when the directory can't be
    written or the file holds no key.
    """
    path = make_private(state_dir) / MASTER_KEY_FILE
    try:
        if not path.exists():
            # Unlike a rename, a link fails when another process was first; its key then holds.
            key = f"sk-{secrets.token_hex(KEY_BITS // 8)}\n"
            with draft_of(path, key.encode()) as draft, contextlib.suppress(FileExistsError):
                os.link(draft, path)
        return _read(path)
    except OSError as error:
        reason = (error.strerror or "error").lower()
        fix = "set SCALIX_STATE_DIR to a directory that this user may write"
        raise LaunchError.of(shown_path(path), f"the master key can't be kept here ({reason})", fix) from error


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
        if os.fstat(file.fileno()).st_mode & 0o077:
            os.fchmod(file.fileno(), 0o600)
        key = file.read(4096).strip()
    if problem := master_key_problem(key or None, "production"):
        what = problem[0].replace("LITELLM_MASTER_KEY", "the key in this file")
        raise LaunchError.of(shown_path(path), what, "delete the file, and a new key is made at the next start")
    return key
