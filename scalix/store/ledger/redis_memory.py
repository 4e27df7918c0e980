"""How much memory the store's servers use, and how much they may."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scalix.store.connection.session import StoreSession

# Version 2 of control groups, then 1, which says "no limit" with a number beyond every machine's memory.
_CGROUP_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_NO_LIMIT_BYTES = 1 << 60


@dataclass(frozen=True, slots=True)
class ServerMemory:
    """One server. `limit_bytes` is its `maxmemory`, or where that is not set all that its machine has."""

    used_bytes: int
    limit_bytes: int
    is_configured: bool

    @property
    def percent(self) -> int:
        """How full it is, rounded down; 0 where nothing is known of a limit."""
        return 100 * self.used_bytes // self.limit_bytes if self.limit_bytes else 0


def container_bytes() -> int:
    """How much memory the container that this process runs in may use; 0 where nothing says so."""
    for path in _CGROUP_LIMITS:
        try:
            text = path.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError):
            continue
        return int(text) if text.isdigit() and int(text) < _NO_LIMIT_BYTES else 0
    return 0


class RedisMemory:
    """Asks every server that holds a part of the keys.

    `machine_bytes` says how much memory a server of this machine may use where its own `INFO` can't know it, as in a
    container; 0 if nothing limits it.
    """

    def __init__(self, session: StoreSession, *, machine_bytes: Callable[[], int] = lambda: 0) -> None:
        self._session = session
        self._machine_bytes = machine_bytes

    async def fullest(self) -> ServerMemory:
        """The server with the least room left, in parts of what it has. Raises `StoreUnavailable`."""
        servers = await self._session.on_every_server("INFO", "memory")
        return max(map(self._memory_of, servers), key=lambda one: one.percent)

    def _memory_of(self, facts: dict[str, Any]) -> ServerMemory:
        used, configured = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
        if configured:
            return ServerMemory(used, configured, True)
        known = [bytes_ for bytes_ in (int(facts.get("total_system_memory", 0)), self._machine_bytes()) if bytes_]
        return ServerMemory(used, min(known, default=0), False)
