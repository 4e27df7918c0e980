"""What is left of a day's tokens: as of the last answer, read where there was none today."""

from typing import Any

import pytest

from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.limits import UNLIMITED, Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Tallies, Tally
from scalix.service.exchange.tokens_left import TokensLeft
from scalix.service.identity.callers import Caller
from scalix.store.base import StoreUnavailable

DAY_MS = 86_400_000
LIMITED = Caller(Subject("user", "u"), None, Limits((Limit(Metric.TOKENS, Window.DAY, 1000),)))


def used(tokens: int, held: int = 0) -> Tallies:
    amounts = dict.fromkeys(Metric, 0)
    of_use = tuple({**amounts, Metric.TOKENS: tokens}.values())
    return {Window.DAY: Tally.of(of_use, tuple({**amounts, Metric.TOKENS: held}.values()))}


class Clocked:
    """A store with a clock, which counts what is read."""

    def __init__(self) -> None:
        self.now_ms = 10 * DAY_MS
        self.reads = 0
        self.windows = used(400)
        self.is_away = False

    async def tallies(self, subject: str) -> tuple[int, Tallies]:
        self.reads += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return self.now_ms, self.windows


@pytest.fixture
def store() -> Clocked:
    return Clocked()


@pytest.fixture
def left(store: Clocked) -> TokensLeft:
    reading: Any = store
    return TokensLeft(reading, lambda: store.now_ms)


async def test_it_is_read_once_and_then_known_by_what_is_learned(left: TokensLeft, store: Clocked) -> None:
    assert [await left.percent(LIMITED), await left.percent(LIMITED)] == [60.0, 60.0]
    left.learn("user:u", store.now_ms, used(700, held=150))
    assert (await left.percent(LIMITED), store.reads) == (15.0, 1)
    left.learn("user:u", store.now_ms, used(1300))
    assert await left.percent(LIMITED) == 0.0


async def test_it_is_read_again_on_the_next_day(left: TokensLeft, store: Clocked) -> None:
    await left.percent(LIMITED)
    store.now_ms, store.windows = 11 * DAY_MS, used(0)
    assert (await left.percent(LIMITED), store.reads) == (100.0, 2)


async def test_nobody_knows_while_the_store_is_away(left: TokensLeft, store: Clocked) -> None:
    store.is_away = True
    assert await left.percent(LIMITED) is None


async def test_of_callers_who_are_not_asked_for_nothing_is_kept_and_without_a_limit_nothing_read(
    left: TokensLeft, store: Clocked
) -> None:
    left.learn("user:u", store.now_ms, used(900))
    assert await left.percent(Caller(Subject("user", "u"), None, UNLIMITED)) == 100.0
    assert store.reads == 0
    assert (await left.percent(LIMITED), store.reads) == (60.0, 1)
