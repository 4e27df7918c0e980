"""Of the names that wildcards serve, the first five hundred of a day are known by theirs: over a real store."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from scalix.domain.limits.calendar import DAY_MS
from scalix.service.exchange.names_of_day import MOST_NAMES_A_DAY, NamesOfDay
from scalix.store.base import StoreUnavailable
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_model_names import ModelNameStore
from tests.store.stores import NOON_MS


class Counting(ModelNameStore):
    """The real store, which can be away, and how often it was asked."""

    def __init__(self, session: StoreSession) -> None:
        super().__init__(session)
        self.asked, self.is_away = 0, False

    async def list_name(self, day: int, name: str, most: int) -> frozenset[str] | None:
        self.asked += 1
        if self.is_away:
            raise StoreUnavailable("away")
        return await super().list_name(day, name, most)


class Clock:
    def __init__(self) -> None:
        self.now_ms = NOON_MS

    def __call__(self) -> int:
        return self.now_ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def client(store_url: str) -> AsyncIterator[Any]:
    client = connect(store_url)
    yield client
    await client.aclose()


@pytest.fixture
def store(client: Any, key_prefix: str) -> Counting:
    return Counting(StoreSession(client, Keys(key_prefix)))


async def test_the_first_five_hundred_names_of_a_day_keep_theirs_whichever_worker_hears_of_them(
    store: Counting, clock: Clock
) -> None:
    one, other = NamesOfDay(store, now_ms=clock), NamesOfDay(store, now_ms=clock)
    names = [f"lm/model-{number}" for number in range(MOST_NAMES_A_DAY)]
    for number, name in enumerate(names):
        assert not await (one, other)[number % 2].is_other(name)
    for worker in (one, other):
        assert await worker.is_other("lm/one-more")
        assert [name for name in names if await worker.is_other(name)] == []
    late = NamesOfDay(store, now_ms=clock)
    assert await late.is_other("lm/one-more")
    assert not await late.is_other(names[0])


async def test_the_store_is_asked_once_for_a_name_and_not_at_all_when_the_day_is_full(
    store: Counting, clock: Clock
) -> None:
    worker = NamesOfDay(store, now_ms=clock, most=2)
    for name in ("a", "a", "b", "a", "c", "d", "c"):
        await worker.is_other(name)
    assert store.asked == 3  # a, b, and c, which finds it full


async def test_the_next_day_begins_anew(store: Counting, clock: Clock) -> None:
    worker = NamesOfDay(store, now_ms=clock, most=1)
    assert [await worker.is_other(name) for name in ("a", "b")] == [False, True]
    clock.now_ms += DAY_MS
    assert [await worker.is_other(name) for name in ("b", "a")] == [False, True]


async def test_without_the_store_what_is_known_keeps_its_name_and_the_rest_is_other(
    store: Counting, clock: Clock
) -> None:
    worker = NamesOfDay(store, now_ms=clock)
    assert not await worker.is_other("a")
    store.is_away = True
    assert [await worker.is_other(name) for name in ("a", "b")] == [False, True]
    store.is_away = False
    assert not await worker.is_other("b")


async def test_the_names_of_a_day_are_gone_two_days_later(
    store: Counting, clock: Clock, client: Any, key_prefix: str
) -> None:
    await NamesOfDay(store, now_ms=clock).is_other("a")
    left_ms = await client.pttl(Keys(key_prefix).wildcard_names(NOON_MS // DAY_MS))
    assert DAY_MS < left_ms <= 2 * DAY_MS
