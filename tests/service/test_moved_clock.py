"""The clock of a real store leaps and comes back: nobody's counters are emptied by it, and no events are lost."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scalix.domain.limits.calendar import DAY_MS
from scalix.store.keys import Keys
from tests.service.moved_clock import make_movable, move
from tests.service.outage_rig import USED, World
from tests.store.servers import Server, free_ports, running

KEYS = Keys("t:")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    make_movable(monkeypatch)
    with running(Server(tmp_path / "store", free_ports(1)[0])) as server:
        yield server


def events(server: Server, user: str) -> int:
    return int(server.admin.hlen(KEYS.events(f"user:{user}", time.time_ns() // 1_000_000)))


@pytest.mark.parametrize("leaps", [[2], [40], [-2], [200, -30]], ids=str)
async def test_a_clock_that_leaps_and_comes_back_empties_no_counters_and_loses_no_events(
    server: Server, tmp_path: Path, leaps: list[int]
) -> None:
    async with World(server.url, tmp_path / "gateway", "t:") as world:
        user, other = await world.user("tim", "ten"), await world.user("paula", "pro")
        for _ in range(9):
            assert (await world.ask(user)).status == 200
        assert (await world.ask(other)).status == 200
        # When the store's clock is wrong for a moment, in which the user goes on and everything that cleans up runs
        for leap in leaps:
            move(server, leap)
            assert abs(await world.core.ledger.books.now_ms() / 1000 - time.time() - leap * 86_400) < 60
            assert (await world.ask(user)).status == 200
            await world.core.exchange.settlement.sweep()
            await world.core.private.retention.run_daily()
        move(server, 0)
        await world.core.private.retention.run_daily()
        # Then today's counters are as they were, and so are the events
        day = await world.day(user)
        assert (day.requests_used, day.tokens_used) == (9, 9 * USED.total_tokens)
        assert (events(server, user), events(server, other)) == (9, 1)
        assert [(await world.ask(user)).status for _ in range(2)] == [200, 429]


async def test_the_end_of_windows_and_books_is_beyond_the_leap_of_a_year(server: Server, tmp_path: Path) -> None:
    async with World(server.url, tmp_path / "gateway", "t:") as world:
        user = await world.user("tim", "ten")
        assert (await world.ask(user)).status == 200
        for name in (KEYS.windows(f"user:{user}"), *KEYS.books(f"user:{user}", time.time_ns() // 1_000_000)[:-1]):
            assert server.admin.pttl(name) > 400 * DAY_MS, name
