"""The store as the launcher uses it: the operator's server, which may come later, or an embedded one, kept running."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import unquote

from scalix.domain.byte_patterns import byte_pattern
from scalix.launch.embedded.store_wait import StoreWait
from scalix.launch.problems import LaunchError, Problem
from scalix.launch.processes.output import Output
from scalix.launch.processes.process import ProcessIdentity, identify
from scalix.launch.processes.pump import PipePump
from scalix.store.connection.server_check import (
    ServerFacts,
    StoreUnreachable,
    StoreUnusable,
    check_server,
    redacted,
)

if TYPE_CHECKING:
    from scalix.launch.embedded.embedded_store import EmbeddedStore
    from scalix.launch.settings.environment import Settings


# Process and role, its own time, how much it matters, and what it says.
_SERVER_LINE = byte_pattern(rb"\d+:(?:[A-Z] [^.*#-]{1,40}\.\d+ ([.*#-]) (.*)|signal-handler .*)")
_GREETING = b"bye bye..."
_COUNTED = {1: "line", 2: "two lines", 3: "three lines"}


@dataclass
class StoreChild:
    """A store fit for use. `url` is for redis-py; `description` is one line for the operator, without a password.
    `server` is the embedded one, if it is that; what happens to it is told by `say`. `awaited` is the operator's server
    for as long as it is not there."""

    url: str = field(repr=False)
    description: str
    server: "EmbeddedStore | None"
    say: Callable[[str], None]
    awaited: StoreWait | None = None

    @property
    def identity(self) -> ProcessIdentity | None:
        """The process of an embedded server, else None."""
        pid = self.server.pid if self.server else None
        return identify(pid) if pid else None

    @property
    def socket(self) -> str | None:
        """The path of an embedded server's socket, else None."""
        return unquote(self.url.removeprefix("unix://")) if self.server else None

    def ensure_running(self) -> bool:
        """Restart an embedded server if it has died, and look for an awaited one. True when something has changed.

        Raises LaunchError: the awaited server is there now, and can't be our store.
        """
        if self.awaited is not None:
            return self._look_for(self.awaited)
        line = self.server.ensure_running() if self.server else None
        if line:
            self.say(line)
        return line is not None

    def _look_for(self, awaited: StoreWait) -> bool:
        try:
            facts = awaited.step()
        except StoreUnusable as error:
            raise LaunchError((Problem(awaited.where, error.what, error.fix),)) from None
        if facts is None:
            return False
        self.description, self.awaited = _described(facts, self.url), None
        self.say(self.description)
        return True

    def stop(self, timeout_s: float) -> None:
        if self.server:
            self.server.stop(timeout_s)


def open_store(settings: "Settings", pump: PipePump, output: Output, named_by: Sequence[tuple[str, str]]) -> StoreChild:
    """Connect to the store that `settings` names, or start an embedded one, and say which. Raises LaunchError.

    `named_by` are the variables that name a server, each with where it was set. Outside development a server that is
    not there yet is waited for.
    """
    say = partial(output.say, "store")
    if settings.redis_url is not None:
        store = _servers(settings.redis_url, say, named_by, may_wait=settings.scalix_env != "development")
        if store.awaited is None:
            say(store.description)
        return store

    from scalix.launch.embedded.embedded_store import EmbeddedStore

    read_fd, write_fd = os.pipe()
    pump.watch(read_fd, partial(_from_server, output))
    server = EmbeddedStore(settings.state_dir, output=write_fd)
    server.start()
    try:
        facts = _check(server.url, str(settings.state_dir))
    except BaseException:
        server.stop()
        raise
    where = settings.state_dir / "store"
    description = f"embedded {facts.flavour} {facts.version}, {where}"
    say(description)
    return StoreChild(server.url, description, server, say)


def check_named_store(settings: "Settings", named_by: Sequence[tuple[str, str]]) -> tuple[str, str]:
    """What the server that `settings` name calls itself, and its version; empty if they name none. Raises
    `LaunchError` for one that can't be reached or is none for us."""
    if settings.redis_url is None:
        return "", ""
    facts = _check(settings.redis_url, _where(named_by), named_by)
    return facts.flavour, facts.version


def _where(named_by: Sequence[tuple[str, str]]) -> str:
    return named_by[0][1] if named_by else "environment"


def _servers(
    url: str, say: Callable[[str], None], named_by: Sequence[tuple[str, str]], *, may_wait: bool
) -> StoreChild:
    where = _where(named_by)
    if not may_wait:
        return StoreChild(url, _described(_check(url, where, named_by), url), None, say)
    awaited = StoreWait(partial(check_server, url), where, say)
    try:
        facts = awaited.first_look()
    except StoreUnusable as error:
        raise LaunchError((Problem(where, error.what, error.fix),)) from None
    if facts is not None:
        return StoreChild(url, _described(facts, url), None, say)
    return StoreChild(url, f"not there yet, {redacted(url)}", None, say, awaited)


def _described(facts: ServerFacts, url: str) -> str:
    return f"{facts.flavour} {facts.version} at {redacted(url)}"


def _from_server(output: Output, line: bytes) -> None:
    """One line of the server's log, for the log file only: the launcher itself says what an operator has to know. Of
    what is no warning, and of its greetings, nothing is kept unless all is wanted."""
    found = _SERVER_LINE.match(line)
    if output.verbose or found is None:
        output.from_child("store", line, terminal=False)
    elif found[1] == b"#" and not found[2].endswith(_GREETING):
        output.from_child("store", b"WARNING " + found[2].removeprefix(b"WARNING "), terminal=False)


def _check(url: str, where: str, named_by: Sequence[tuple[str, str]] = ()) -> ServerFacts:
    try:
        return check_server(url)
    except StoreUnusable as error:
        fix = error.fix
        if isinstance(error, StoreUnreachable) and named_by:
            fix = f"start one there, or {_without(named_by)}: then the gateway starts a store of its own"
        raise LaunchError((Problem(where, error.what, fix),)) from None


def _without(variables: Sequence[tuple[str, str]]) -> str:
    if all(place == "environment" for _, place in variables):
        return f"unset {' and '.join(name for name, _ in variables)}"
    lines = " and ".join(f"{name} ({place})" for name, place in variables)
    count = _COUNTED.get(len(variables), "lines")
    return f"remove the {count} {lines}"
