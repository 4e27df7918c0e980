"""What the store's servers keep on disk, written anew, so that nothing of what was erased is left in it."""

import asyncio
from collections.abc import Sequence
from typing import Any

from redis.exceptions import RedisError

from scalix.store.base import StoreUnavailable
from scalix.store.connection.session import SessionStore

WAIT_S = 20.0
_PAUSE_S = 0.05
# By the command that writes a file anew: the server's fact that says how it ended, and those that it has to wait for.
_FACTS_OF = {
    "BGREWRITEAOF": ("aof_last_bgrewrite_status", "aof_rewrite_in_progress", "aof_rewrite_scheduled"),
    "BGSAVE": ("rdb_last_bgsave_status", "rdb_bgsave_in_progress", "aof_rewrite_in_progress"),
}

Rewritten = str
"""`rewritten`, `under way`, `none` (the server keeps no such file), `not known`, `not permitted` or `failed`."""


class StoreFiles(SessionStore):
    """The files of every server that holds a part of the keys; its replicas and backups are out of reach."""

    async def rewrite(self) -> dict[str, Rewritten]:
        """Write `append_only_file` and `snapshot` anew, and wait for it, but not for ever. May raise
        `StoreUnavailable`."""
        facts = await self._facts()
        has_log = any(int(one.get("aof_enabled", 0)) for one in facts)
        log = await self._renewed("BGREWRITEAOF") if has_log else "none"
        saves = any(int(one.get("rdb_saves", 0)) for one in facts) or await self._saves()
        snapshot = await self._renewed("BGSAVE") if saves else "not known" if saves is None else "none"
        return {"append_only_file": log, "snapshot": snapshot}

    async def _renewed(self, command: str) -> Rewritten:
        status, *busy = _FACTS_OF[command]
        while True:
            # One that is under way began before the erasure, and has to end before the next can begin.
            if not await self._until_idle(busy):
                return "under way"
            try:
                await self._session.on_every_server(command)
                break
            except StoreUnavailable as fault:
                if "in progress" not in str(fault.__cause__):
                    return "not permitted" if isinstance(fault.__cause__, RedisError) else "failed"
        if not await self._until_idle(busy):
            return "under way"
        return "rewritten" if all(one.get(status, "ok") == "ok" for one in await self._facts()) else "failed"

    async def _until_idle(self, busy: Sequence[str]) -> bool:
        for _ in range(int(WAIT_S / _PAUSE_S)):
            if not any(int(one.get(name, 0)) for one in await self._facts() for name in busy):
                return True
            await asyncio.sleep(_PAUSE_S)
        return False

    async def _facts(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._session.on_every_server("INFO", "persistence")
        return found

    async def _saves(self) -> bool | None:
        """Whether some server writes snapshots by itself; `None` where that may not be asked."""
        try:
            answers = await self._session.on_every_server("CONFIG", "GET", "save")
        except StoreUnavailable:
            return None
        return any("".join(_values(answer)).strip() for answer in answers)


def _values(answer: Any) -> list[str]:
    if isinstance(answer, dict):
        return [str(value) for value in answer.values()]
    return [str(value) for value in (answer or ())[1::2]]
