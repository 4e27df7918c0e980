"""Finds the gateway that is meant and its master key, by the options, the state directory and the environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from scalix.launch import home
from scalix.launch.config.config_environment import MASTER_KEY, with_config_variables
from scalix.launch.problems import LaunchError, Problem, shown_path
from scalix.launch.processes.ports import base_url
from scalix.launch.processes.runfile import lock_holder, running
from scalix.launch.settings.environment import (
    DEFAULT_CONFIG,
    DEFAULT_HOST,
    DEFAULT_PORT,
    DEFAULT_STATE_DIR,
    load_environment,
    path_of,
)
from scalix.launch.settings.master_key import MASTER_KEY_FILE
from scalix.launch.settings.tls import CERTIFICATE

HOW_TO_GET_THE_KEY = (
    "give the key that the gateway was started with: --key, or LITELLM_MASTER_KEY (or the variable that the config's "
    "general_settings.master_key names) in the environment or in scalix_config.env, or in development "
    f"{MASTER_KEY_FILE} in its state directory"
)
HOW_TO_START = f"start it with {home.HOW_TO_START}, or name another one with --url"
_THIS_MACHINE = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Target:
    """A gateway and its master key. `key_source` says where the key was found, for messages; `trusted` is the
    certificate of one that runs here by TLS."""

    url: str
    key: str = field(repr=False)
    key_source: str
    trusted: Path | None = None


def find_target(
    root: Path, base: Mapping[str, str], *, url: str | None, key: str | None, env_file: Path | None
) -> Target:
    """The gateway to check. `root` is the project's directory, `base` the real environment.

    Raises `LaunchError` for an address that is none, an unreadable env file, and when no key is to be found.
    """
    # The providers' secrets may be in files that are not this user's to read.
    environment = load_environment(root, base, env_file, secrets=(MASTER_KEY,))
    values = environment.values
    state_dir = path_of(values, root, "SCALIX_STATE_DIR", DEFAULT_STATE_DIR).absolute()
    run = None if url else running(state_dir)
    trusted = run.trusted if run else None
    url = run.url if run else _checked(url or _configured(values))
    if key is not None:
        return Target(url, _carried(key, "--key"), "--key", trusted)
    config = path_of(values, root, "SCALIX_CONFIG", DEFAULT_CONFIG)
    environment = with_config_variables(environment, config)
    if found := environment.values.get(MASTER_KEY, "").strip():
        name = environment.master_key_name or f"general_settings.master_key of {shown_path(config)}"
        source = f"{name} ({environment.where(MASTER_KEY)})" if environment.master_key_name else name
        return Target(url, _carried(found, source), source, trusted)
    path = state_dir / MASTER_KEY_FILE
    if urlsplit(url).hostname not in _THIS_MACHINE:
        # The key of this machine's gateway must not be sent to another.
        raise LaunchError([Problem("environment", f"no key for {url}", HOW_TO_GET_THE_KEY)])
    try:
        found, source = path.read_text(encoding="utf-8").strip(), shown_path(path)
        return Target(url, _carried(found, source), source, trusted)
    except FileNotFoundError:
        what = f"no key for {url}: LITELLM_MASTER_KEY is not set and there is no {shown_path(path)}"
        # A gateway that has never run here has made no key.
        fix = HOW_TO_GET_THE_KEY if lock_holder(state_dir) is not None else f"{HOW_TO_START}; or {HOW_TO_GET_THE_KEY}"
        raise LaunchError([Problem("environment", what, fix)]) from None
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or "not text").lower()
        where = shown_path(path)
        raise LaunchError([Problem(where, f"the key can't be read ({reason})", HOW_TO_GET_THE_KEY)]) from None


def _configured(values: Mapping[str, str]) -> str:
    host = values.get("LITELLM_HOST", "").strip() or DEFAULT_HOST
    port = values.get("LITELLM_PORT", "").strip()
    tls = bool(values.get(CERTIFICATE, "").strip())
    return base_url(host, int(port) if port.isascii() and port.isdigit() else DEFAULT_PORT, tls=tls)


def _checked(url: str) -> str:
    """The address without a trailing slash or `/v1`."""
    fix = "write for example --url http://127.0.0.1:4000"
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not url.isascii() or any(character.isspace() for character in url):
        raise LaunchError([Problem("--url", f"{url!r} is not the address of a gateway", fix)])
    if parts.username is not None or parts.query or parts.fragment:
        raise LaunchError([Problem("--url", "an address has no user, query or fragment here", fix)])
    return url.rstrip("/").removesuffix("/v1").rstrip("/")


def _carried(key: str, source: str) -> str:
    if not key or not all("!" <= character <= "~" for character in key):
        what = "the key is empty" if not key else "the key holds characters that an HTTP header can't carry"
        raise LaunchError([Problem(source, what, HOW_TO_GET_THE_KEY)])
    return key
