"""Reads the environment variables of a process into settings of its parts: key names, journal, policy, identity."""

from collections.abc import Mapping
from pathlib import Path

from scalix.domain.policy import Policy
from scalix.launch.config.config_file import GatewayConfig, read_config
from scalix.launch.config.policy_file import read_policy
from scalix.launch.problems import LaunchError, Problem
from scalix.store.journal.journal import MAX_BYTES as JOURNAL_MAX_BYTES
from scalix.store.journal.journal import Journal
from scalix.store.keys import DEFAULT_KEY_PREFIX, Keys
from scalix.store.records.sealing import Sealing, encryption_keys

LEAST_JOURNAL_BYTES = 1024 * 1024


def needed(environ: Mapping[str, str], name: str) -> str:
    """A required variable. Raises `LaunchError` if it is not set."""
    value = environ.get(name)
    if not value:
        raise wrong(f"{name} is not set", "start with start_scalix_litellm.py")
    return value


def wrong(what: str, fix: str, where: str = "environment") -> LaunchError:
    """The error that says what is wrong, where, and what to do about it."""
    return LaunchError([Problem(where, what, fix)])


def state_dir_of(environ: Mapping[str, str]) -> Path:
    """The directory for everything that is kept on this machine."""
    return Path(environ.get("SCALIX_STATE_DIR") or ".scalix")


def key_names(environ: Mapping[str, str]) -> Keys:
    """The names of all keys in the store. Raises `LaunchError`."""
    prefix = environ.get("SCALIX_KEY_PREFIX") or DEFAULT_KEY_PREFIX
    try:
        return Keys(prefix)
    except ValueError:
        what = f"SCALIX_KEY_PREFIX is {prefix[:40]!r}: braces in it would scatter a user's keys over a cluster"
        raise wrong(what, "write a prefix without { and }, such as scalix:") from None


def open_journal(environ: Mapping[str, str]) -> Journal:
    """This process's journal, in the state directory. Raises `LaunchError`."""
    text = environ.get("SCALIX_JOURNAL_MAX_BYTES") or str(JOURNAL_MAX_BYTES)
    if not (text.isascii() and text.isdigit() and int(text) >= LEAST_JOURNAL_BYTES):
        what = f"SCALIX_JOURNAL_MAX_BYTES is {text[:40]!r}, which is no size"
        fix = f"write a number of bytes from {LEAST_JOURNAL_BYTES} on, such as {JOURNAL_MAX_BYTES}"
        raise wrong(what, fix)
    directory = state_dir_of(environ) / "journal"
    try:
        return Journal(directory, max_bytes=int(text))
    except OSError as error:
        what = f"the journal can't be opened: {error.strerror or error}"
        fix = "make the directory writable for the gateway, or set SCALIX_STATE_DIR to another one"
        raise wrong(what, fix, str(directory)) from None


def sealing(environ: Mapping[str, str]) -> Sealing:
    """How records are encrypted. Raises `LaunchError`."""
    try:
        return Sealing(encryption_keys(environ.get("SCALIX_ENCRYPTION_KEY")))
    except ValueError:
        fix = "write one made by: openssl rand -base64 32 | tr +/ -_"
        raise wrong("SCALIX_ENCRYPTION_KEY holds no Fernet key", fix) from None


def policy_of(environ: Mapping[str, str]) -> Policy:
    """The policy that the launcher has accepted; without a launcher, the config's."""
    if environ.get("SCALIX_POLICY"):
        return read_policy(Path(environ["SCALIX_POLICY"]))[1]
    return _config(environ).policy


def _config(environ: Mapping[str, str]) -> GatewayConfig:
    """The config file as it is now; an operator may be editing it."""
    return read_config(
        Path(needed(environ, "SCALIX_CONFIG")),
        environ,
        demo=environ.get("SCALIX_DEMO") == "1",
        production=environ.get("SCALIX_ENV") == "production",
    )
