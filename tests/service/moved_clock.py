"""Moves the clock of a real store, for the scripts and clients of this process: of a server of the test's own.

Scripts read the server's time and as much beside it as a key says; when that is changed, what the server would have
ended by its clock ends in the same step, and all other ends come nearer or go further away.
"""

import re
from typing import Any

import pytest

from scalix.store.connection import session
from scalix.store.connection.session import StoreSession
from tests.store.servers import Server

_AHEAD = "the-tests-clock"
_TIME = f"""
local function moved_time()
  local time = redis.call('TIME')
  return {{time[1] + (redis.call('GET', '{_AHEAD}') or 0), time[2]}}
end
"""
_MOVE = f"""
local by_ms = (ARGV[1] - (redis.call('GET', '{_AHEAD}') or 0)) * 1000
redis.call('SET', '{_AHEAD}', ARGV[1])
for _, name in ipairs(redis.call('KEYS', '*')) do
  local left_ms = redis.call('PTTL', name)
  if left_ms >= 0 then redis.call('PEXPIRE', name, string.format('%.0f', left_ms - by_ms)) end
end
"""


def make_movable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have everything in this process go by the moved time, until the test ends."""
    source_of, time = session.source_of, StoreSession.time

    def moved_source_of(name: str) -> str:
        text, found = re.subn(r"redis\.call\('TIME'\)", "moved_time()", source_of(name))
        assert found, name
        return _TIME + text

    async def moved_time(client: Any, **options: Any) -> tuple[int, int]:
        seconds, microseconds = await time(client, **options)
        return seconds + int(await client.get(_AHEAD) or 0), microseconds

    session.hash_of.cache_clear()
    monkeypatch.setattr(session, "source_of", moved_source_of)
    monkeypatch.setattr(StoreSession, "time", moved_time)
    monkeypatch.setattr(session, "hash_of", session.hash_of.__wrapped__)


def move(server: Server, days: int) -> None:
    """Set the clock so many days ahead of the real one, or behind it."""
    server.admin.eval(_MOVE, 0, days * 86_400)
