"""The circuit breaker, by a clock that stands until it is set, and the time that one request may wait."""

import asyncio

import pytest

from scalix.store.base import CallRejected, StoreError, StoreUnavailable, UserExists
from scalix.store.connection.breaker import Breaker, guarded
from scalix.store.connection.calls import in_time
from scalix.store.connection.deadline import CalmClock, Patience, grant_store_time, granted_store_time


class Seconds:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Fragile:
    """A store of one method that does what it is told."""

    def __init__(self) -> None:
        self.error: StoreError | None = None
        self.calls = 0
        self.wait: asyncio.Event | None = None

    async def act(self) -> str:
        self.calls += 1
        if self.wait is not None:
            await self.wait.wait()
        if self.error is not None:
            raise self.error
        return "done"

    def name(self) -> str:
        return "fragile"


@pytest.fixture
def clock() -> Seconds:
    return Seconds()


@pytest.fixture
def breaker(clock: Seconds) -> Breaker:
    return Breaker(clock=clock, failures=3, pause_s=2.0)


async def failed(store: Fragile, times: int = 1) -> StoreUnavailable:
    for _ in range(times):
        with pytest.raises(StoreUnavailable) as caught:
            await store.act()
    return caught.value


async def test_it_opens_after_three_failures_in_a_row_and_then_answers_without_calling(breaker: Breaker) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    fragile.error = StoreUnavailable("gone")
    await failed(store, 2)
    assert breaker.is_closed
    assert not breaker.is_well
    await failed(store)
    assert not breaker.is_closed
    refused = await failed(store, 5)
    assert fragile.calls == 3
    assert not refused.maybe_acted
    assert not refused.counts


async def test_calls_under_way_when_it_opens_are_not_left_waiting(breaker: Breaker) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    fragile.wait = asyncio.Event()
    waiting = [asyncio.create_task(store.act()) for _ in range(500)]
    await asyncio.sleep(0)
    fragile.wait, fragile.error = None, StoreUnavailable("gone")
    await failed(store, 3)
    faults = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(fault, StoreUnavailable) and fault.maybe_acted for fault in faults)


async def test_an_answer_between_failures_keeps_it_closed(breaker: Breaker) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    for _ in range(5):
        fragile.error = StoreUnavailable("gone")
        await failed(store, 2)
        fragile.error = None
        assert await store.act() == "done"
    assert breaker.is_closed
    assert breaker.is_well


async def test_an_error_that_is_an_answer_does_not_open_it(breaker: Breaker) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    for error in (UserExists("alice"), CallRejected("wrong type"), StoreUnavailable("not asked", counts=False)):
        fragile.error = error
        for _ in range(5):
            with pytest.raises(StoreError):
                await store.act()
    assert breaker.is_closed


async def test_an_error_that_is_an_answer_closes_it_as_any_answer_does(breaker: Breaker, clock: Seconds) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    fragile.error = StoreUnavailable("away")
    await failed(store, 3)
    clock.now_s += 2.0
    fragile.error = UserExists("bob")
    with pytest.raises(UserExists):
        await store.act()  # the one that tries again
    assert breaker.is_closed
    fragile.error = StoreUnavailable("away")
    await failed(store, 2)
    assert breaker.is_closed


async def test_after_the_pause_one_call_alone_tries_again(breaker: Breaker, clock: Seconds) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    fragile.error = StoreUnavailable("gone")
    await failed(store, 3)
    clock.now_s += 2.0
    fragile.wait, fragile.error = asyncio.Event(), None
    trying = asyncio.create_task(store.act())
    await asyncio.sleep(0)
    await failed(store, 10)
    assert fragile.calls == 4
    fragile.wait.set()
    assert await trying == "done"
    assert breaker.is_closed
    assert await store.act() == "done"


async def test_a_trial_that_fails_begins_another_pause(breaker: Breaker, clock: Seconds) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    fragile.error = StoreUnavailable("gone")
    await failed(store, 3)
    clock.now_s += 2.0
    await failed(store)
    clock.now_s += 1.9
    await failed(store)
    assert fragile.calls == 4
    clock.now_s += 0.1
    await failed(store)
    assert fragile.calls == 5


async def test_a_trial_whose_caller_leaves_lets_the_next_one_try(breaker: Breaker, clock: Seconds) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    fragile.error = StoreUnavailable("gone")
    await failed(store, 3)
    clock.now_s += 2.0
    fragile.wait = asyncio.Event()
    trying = asyncio.create_task(store.act())
    await asyncio.sleep(0)
    trying.cancel()
    await asyncio.gather(trying, return_exceptions=True)
    assert not breaker.is_closed
    fragile.wait, fragile.error = None, None
    assert await store.act() == "done"
    assert breaker.is_closed


async def test_a_probe_does_not_wait_for_the_pause(breaker: Breaker) -> None:
    fragile = Fragile()
    store = guarded(fragile, breaker)
    fragile.error = StoreUnavailable("gone")
    await failed(store, 3)
    fragile.error = None
    await failed(store)
    with breaker.probe():
        assert await store.act() == "done"
    assert breaker.is_closed


def test_methods_that_are_no_coroutines_pass_through(breaker: Breaker) -> None:
    assert guarded(Fragile(), breaker).name() == "fragile"


async def test_calls_of_one_request_share_its_time() -> None:
    grant_store_time(60)
    with pytest.raises(StoreUnavailable):
        async with in_time(200):
            await asyncio.Event().wait()
    left = granted_store_time()
    assert left is not None
    assert left.left_ms <= 0
    with pytest.raises(StoreUnavailable) as caught:
        async with in_time(200):
            raise AssertionError("a call was made")
    assert not caught.value.maybe_acted


async def test_a_call_cut_short_by_earlier_ones_does_not_count_against_the_store() -> None:
    grant_store_time(20)
    with pytest.raises(StoreUnavailable) as caught:
        async with in_time(200):
            await asyncio.Event().wait()
    assert caught.value.maybe_acted
    assert not caught.value.counts


async def turns_until_over(allowed_ms: float, turn_s: float) -> int:
    """How many turns of the loop, each of which seems to take `turn_s`, the patience lasts; at most 200."""
    loop = asyncio.get_running_loop()
    offset, real = [0.0], loop.time
    loop.time = lambda: real() + offset[0]  # type: ignore[method-assign]
    patience = Patience(allowed_ms, CalmClock(loop, loop.time))
    turns = 0
    try:
        async with asyncio.timeout(None) as scope:
            patience.start(scope)
            while turns < 200:
                turns += 1
                offset[0] += turn_s
                for _ in range(3):
                    await asyncio.sleep(0)
    except TimeoutError:
        assert abs(patience.waited_ms - allowed_ms) <= 1
    finally:
        patience.stop()
        loop.time = real  # type: ignore[method-assign]
    return turns


async def test_time_in_which_we_are_busy_ourselves_is_not_the_stores() -> None:
    """An answer that is there takes some ten turns of the loop to be read, where a connection has to be made first."""
    assert 30 <= await turns_until_over(200, 0.5) <= 50


async def test_a_store_that_does_not_answer_has_its_time_and_no_more() -> None:
    assert 38 <= await turns_until_over(200, 0.005) <= 42
