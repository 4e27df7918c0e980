"""The clock of a real store leaps and comes back: nobody's counters are emptied by it, and no events are lost."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scalix.domain.limits.calendar import DAY_MS
from scalix.store.keys import Keys
from tests.service.outage_rig import USED, World
from tests.store.servers import Server, free_ports, running, wait_for

LIBRARY = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)
pytestmark = pytest.mark.skipif(LIBRARY is None, reason="needs libfaketime: apt-get install libfaketime")
KEYS = Keys("t:")
Move = Callable[[str], None]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path / "store", free_ports(1)[0])
    offset = tmp_path / "offset"
    offset.write_text("+0d")
    made.environ = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "DONT_FAKE_MONOTONIC": "1",
    }
    with running(made) as server:
        yield server


@pytest.fixture
def move(server: Server, tmp_path: Path) -> Move:
    """Moves the server's clock to so many days from now, such as `+2d`."""

    def moved(offset: str) -> None:
        (tmp_path / "draft").write_text(offset)
        shutil.move(tmp_path / "draft", tmp_path / "offset")
        ahead_s = int(offset.removesuffix("d")) * 86_400
        wait_for(lambda: abs(server.admin.time()[0] - time.time() - ahead_s) < 60, "the clock to have moved")

    return moved


def events(server: Server, user: str) -> int:
    return int(server.admin.hlen(KEYS.events(f"user:{user}", time.time_ns() // 1_000_000)))


@pytest.mark.parametrize("leaps", [["+2d"], ["+40d"], ["-2d"], ["+200d", "-30d"]], ids=",".join)
async def test_a_clock_that_leaps_and_comes_back_empties_no_counters_and_loses_no_events(
    server: Server, move: Move, tmp_path: Path, leaps: list[str]
) -> None:
    async with World(server.url, tmp_path / "gateway", "t:") as world:
        user, other = await world.user("tim", "ten"), await world.user("paula", "pro")
        for _ in range(9):
            assert (await world.ask(user)).status == 200
        assert (await world.ask(other)).status == 200
        # When the store's clock is wrong for a moment, in which the user goes on and everything that cleans up runs
        for leap in leaps:
            move(leap)
            assert (await world.ask(user)).status == 200
            await world.core.settlement.sweep()
            await world.core.private.retention.run_daily()
            for name in server.admin.keys("*"):  # whose time is over by that clock goes now
                server.admin.exists(name)
        move("+0d")
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
        for name in (KEYS.windows(f"user:{user}"), *KEYS.books(f"user:{user}", time.time_ns() // 1_000_000)):
            assert server.admin.pttl(name) > 400 * DAY_MS, name
