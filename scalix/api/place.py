"""Finds the gateway's store and policy as the launcher does. No gateway has to run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from scalix.api.errors import SetupError, StoreNotRunning
from scalix.launch import home
from scalix.launch.embedded.store_socket import socket_of
from scalix.launch.problems import LaunchError
from scalix.launch.processes.runfile import POLICY_FILE, lock_holder
from scalix.launch.settings.environment import DEFAULT_CONFIG, DEFAULT_STATE_DIR, load_environment, path_of
from scalix.launch.settings.redis_url import redis_url
from scalix.store.connection.server_check import redacted

if TYPE_CHECKING:
    from scalix.domain.policy import Policy

HOW_TO_START = f"start the gateway with {home.HOW_TO_START}, or set REDIS_URL"
_SECRETS = ("REDIS_URL", "REDIS_PASSWORD", "REDIS_SENTINEL_PASSWORD", "SCALIX_ENCRYPTION_KEY")


@dataclass(frozen=True)
class Place:
    """Where one gateway's files are. `values` are the variables of the environment and of the env files."""

    values: Mapping[str, str] = field(repr=False)
    state_dir: Path
    config_path: Path
    _read: dict[tuple[Path, int], "Policy"] = field(default_factory=dict, repr=False, compare=False)

    @property
    def store_url(self) -> str:
        """The store for redis-py. Raises `StoreNotRunning` for an embedded one that is not there, `SetupError`."""
        if (named := self._named_url()) is not None:
            return named
        socket = socket_of(self.state_dir)
        if socket is None:
            raise StoreNotRunning(f"{self._embedded} is not running: {HOW_TO_START}", maybe_acted=False)
        return f"unix://{quote(str(socket))}"

    @property
    def key_prefix(self) -> str:
        """The prefix of every key in the store."""
        return self.values.get("SCALIX_KEY_PREFIX") or "scalix:"

    def no_answer(self, why: object) -> str:
        """The message for a store that does not answer."""
        if self._named_url() is None:
            return f"{self._embedded} does not answer ({why}): {HOW_TO_START}"
        where = redacted(self.store_url)
        return f"the store at {where} does not answer ({why}): start it, or correct REDIS_URL or REDIS_HOST"

    @property
    def policy(self) -> "Policy":
        """The policy of the running gateway, else that of the config. Read again when its file has changed.

        Raises `SetupError`.
        """
        named = self.values.get("SCALIX_POLICY")
        if named is None and lock_holder(self.state_dir) is not None:
            named = str(self.state_dir / POLICY_FILE)
        path = Path(named) if named is not None and Path(named).exists() else self.config_path
        try:
            mark = (path, path.stat().st_mtime_ns)
            if mark not in self._read:
                self._read.clear()
                self._read[mark] = self._policy_in(path)
            return self._read[mark]
        except OSError as error:
            reason = (error.strerror or "error").lower()
            raise SetupError(f"{path} can't be read ({reason}): name the gateway's config in SCALIX_CONFIG") from None
        except LaunchError as error:
            raise SetupError(str(error)) from None

    def _policy_in(self, path: Path) -> "Policy":
        # Loaded here: what only asks whether the store runs needs no config.
        if path != self.config_path:
            from scalix.api.plain_policy import read_plain_policy

            try:
                return read_plain_policy(path)
            except ValueError:
                from scalix.launch.config.policy_file import read_policy

                return read_policy(path)[1]
        from scalix.launch.config.config_file import read_config

        # As a demo, every model is in service: what a model costs does not hang on whether its provider's key is here.
        return read_config(path, {**self.values, "SCALIX_DEMO_URL": "http://127.0.0.1:0"}, demo=True).policy

    @property
    def _embedded(self) -> str:
        return f"the embedded store of {self.state_dir}"

    def _named_url(self) -> str | None:
        if url := self.values.get("SCALIX_STORE_URL"):
            return url
        problems: list[str] = []
        url = redis_url(self.values, lambda name, what, fix: problems.append(f"{what}; {fix}"))
        if problems:
            raise SetupError("; ".join(problems))
        return url


def find_place(environ: Mapping[str, str] | None = None, root: Path = home.HOME) -> Place:
    """The place that the environment and the env files in `root` name. Raises `SetupError`."""
    try:
        values = load_environment(root, os.environ if environ is None else environ, secrets=_SECRETS).values
    except LaunchError as error:
        raise SetupError(str(error)) from None
    state_dir = path_of(values, root, "SCALIX_STATE_DIR", DEFAULT_STATE_DIR).absolute()
    return Place(values, state_dir, path_of(values, root, "SCALIX_CONFIG", DEFAULT_CONFIG).absolute())
