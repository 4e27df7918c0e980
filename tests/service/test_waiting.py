"""Who waits for a place in a worker that carries as much as it may, who is next, and who waits no longer."""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest

from scalix.domain.errors import Overloaded
from scalix.domain.policy import Priority
from scalix.domain.requests.guard import Overload, Queue
from scalix.service.exchange.load_shedding import LoadShedding
from scalix.service.exchange.waiting import WaitingLine
from tests.service.test_load_shedding import caller

LIMITS = Overload(in_flight=1, queue=Queue(requests=40, wait_s=2))


class Timer:
    def __init__(self, at_s: float, run: Callable[[], object]) -> None:
        self.at_s = at_s
        self.run = run
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class Clock:
    """Time that passes when a test says so."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer:
        self.timers.append(Timer(self.now_s + delay, lambda: callback(*args)))
        return self.timers[-1]

    async def passes(self, seconds: float) -> None:
        self.now_s += seconds
        for timer in self.timers:
            if timer.at_s <= self.now_s and not timer.is_cancelled:
                timer.cancel()
                timer.run()
        await settle()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


class Worker:
    """A worker under load. `entered` are the names of the requests that were let in, in order."""

    def __init__(self, limits: Overload = LIMITS) -> None:
        self.limits = limits
        self.clock = Clock()
        self.shedding = LoadShedding(WaitingLine(lambda: self.clock))
        self.waited_s: list[float] = []
        self.shedding.queued = self.waited_s.append
        self.entered: list[str] = []
        self.refused: dict[str, str] = {}
        self._leavings: dict[str, asyncio.Future[None]] = {}
        self._ends: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def comes(self, name: str, priority: Priority) -> None:
        self._leavings[name] = asyncio.get_running_loop().create_future()
        self._ends[name] = asyncio.Event()
        self._tasks[name] = asyncio.create_task(self._request(name, priority))
        await settle()

    async def _request(self, name: str, priority: Priority) -> None:
        who = caller(priority)
        try:
            with self.shedding.slot(None, self.limits):
                may_go_on = self.shedding.lets_in(who, self.limits)
                if may_go_on or await self.shedding.wait(who, self.limits, self._leavings[name]):
                    self.entered.append(name)
                    await self._ends[name].wait()
        except Overloaded as refused:
            self.refused[name] = str(refused)

    async def leaves(self, name: str) -> None:
        self._leavings[name].set_result(None)
        await settle()

    async def is_cut(self, name: str) -> None:
        self._tasks[name].cancel()
        await settle()

    async def ends(self, name: str) -> None:
        self._ends[name].set()
        await settle()

    @property
    def waiting(self) -> int:
        return len(self.shedding.line)

    async def is_empty(self) -> bool:
        """End all that is in it, and say whether nothing is left."""
        for end in self._ends.values():
            end.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        timers = [timer for timer in self.clock.timers if not timer.is_cancelled]
        return (self.shedding.in_flight, self.waiting, timers) == (0, 0, [])


async def test_the_highest_priority_is_next_and_of_one_priority_who_came_first() -> None:
    worker = Worker()
    arrivals: list[tuple[str, Priority]] = [("low", "low"), ("high", "high"), ("normal", "normal"), ("late", "high")]
    await worker.comes("first", "low")
    for name, priority in arrivals:
        await worker.comes(name, priority)
    assert (worker.waiting, worker.shedding.in_flight) == (4, 1)
    for name in ("first", "high", "late", "normal"):
        await worker.ends(name)
    assert worker.entered == ["first", "high", "late", "normal", "low"]
    assert await worker.is_empty()


async def test_one_that_has_just_come_does_not_go_before_one_that_waits() -> None:
    worker = Worker()
    await worker.comes("first", "high")
    await worker.comes("waiting", "high")
    with worker.shedding.slot(None, LIMITS):  # one whose body still arrives holds the place that gets free
        await worker.ends("first")
        await worker.comes("late", "high")
        assert worker.entered == ["first"]
    await settle()
    assert worker.entered == ["first", "waiting"]
    assert await worker.is_empty()


@pytest.mark.parametrize("others", [("low",), ("low", "normal")])
async def test_under_constant_pressure_of_premium_every_lower_priority_has_a_twentieth(
    others: tuple[Priority, ...],
) -> None:
    worker = Worker(Overload(in_flight=1, queue=Queue(requests=400, wait_s=2)))
    await worker.comes("high-0", "high")
    for number in range(12):
        for other in others:
            await worker.comes(f"{other}-{number}", other)
    for number in range(1, 211):
        await worker.comes(f"high-{number}", "high")
        await worker.ends(worker.entered[-1])
    shares = Counter(name.partition("-")[0] for name in worker.entered[1:])
    assert {other: shares[other] for other in others} == dict.fromkeys(others, 10)
    assert worker.entered.index("low-0") < worker.entered.index("low-1")
    assert await worker.is_empty()


async def test_a_lower_priority_has_its_twentieth_also_where_premium_need_not_wait() -> None:
    limits = Overload(in_flight=10, queue=Queue(requests=20, wait_s=2))
    worker = Worker(limits)
    for number in range(8):  # free is let in until seven
        await worker.comes(f"high-{number}", "high")
    await worker.comes("low", "low")
    for number in range(8, 27):
        await worker.comes(f"high-{number}", "high")
        assert worker.entered[-1] == f"high-{number}"
        await worker.ends(f"high-{number}")
    assert worker.entered[-1] == "low"
    assert await worker.is_empty()


async def test_a_full_line_refuses_and_what_comes_above_has_the_room_of_the_last_below() -> None:
    worker = Worker(Overload(in_flight=1, queue=Queue(requests=3, wait_s=2)))
    await worker.comes("first", "high")
    for number in range(4):
        await worker.comes(f"low-{number}", "low")
    assert list(worker.refused) == ["low-3"]
    assert "as many requests wait as may. Try again in 2 seconds." in worker.refused["low-3"]
    for number in range(3):
        await worker.comes(f"high-{number}", "high")
    assert list(worker.refused) == ["low-3", "low-2", "low-1", "high-2"]  # one place is kept for free
    assert worker.waiting == 3
    assert await worker.is_empty()


async def test_in_a_line_full_of_premium_free_has_room_for_its_share() -> None:
    worker = Worker()
    for number in range(41):
        await worker.comes(f"high-{number}", "high")
    for number in range(3):
        await worker.comes(f"low-{number}", "low")
    assert list(worker.refused) == ["high-40", "high-39", "low-2"]
    assert await worker.is_empty()


async def test_who_finds_a_place_at_once_turns_nobody_out_of_a_full_line() -> None:
    worker = Worker(Overload(in_flight=10, queue=Queue(requests=3, wait_s=2)))
    for number in range(7):
        await worker.comes(f"high-{number}", "high")
    for number in range(3):
        await worker.comes(f"low-{number}", "low")
    await worker.comes("late", "high")
    assert (worker.entered[-1], worker.waiting, worker.refused) == ("late", 3, {})
    assert await worker.is_empty()


async def test_who_has_waited_long_enough_is_refused() -> None:
    worker = Worker()
    await worker.comes("first", "high")
    await worker.comes("early", "high")
    await worker.clock.passes(1.5)
    await worker.comes("late", "high")
    await worker.clock.passes(0.5)
    assert list(worker.refused) == ["early"]
    assert worker.refused["early"].endswith("had no place within 2 seconds. Try again in 2 seconds.")
    await worker.ends("first")
    assert worker.entered == ["first", "late"]
    assert (len(worker.waited_s), sum(worker.waited_s)) == (2, 2.5)
    assert await worker.is_empty()


async def test_who_leaves_or_is_cut_leaves_the_line() -> None:
    worker = Worker()
    for name in ("first", "leaves", "cut", "stays"):
        await worker.comes(name, "high")
    await worker.leaves("leaves")
    await worker.is_cut("cut")
    assert worker.waiting == 1
    await worker.ends("first")
    assert worker.entered == ["first", "stays"]
    assert await worker.is_empty()


async def test_a_place_given_to_one_that_is_cut_meanwhile_goes_to_the_next() -> None:
    worker = Worker()
    for name in ("first", "cut", "gone", "stays"):
        await worker.comes(name, "high")
    worker._tasks["first"].cancel()
    await asyncio.sleep(0)  # "cut" has the place, and does not know yet
    worker._tasks["cut"].cancel()
    worker._leavings["gone"].set_result(None)
    await settle()
    assert worker.entered == ["first", "stays"]
    assert await worker.is_empty()


async def test_a_worker_that_drains_lets_nobody_wait() -> None:
    worker = Worker()
    await worker.comes("first", "high")
    await worker.comes("waits", "low")
    worker.shedding.line.close()
    await settle()
    await worker.comes("late", "high")
    assert worker.refused == dict.fromkeys(("waits", "late"), "The gateway is about to stop. Try again in 2 seconds.")
    assert worker.entered == ["first"]
    assert await worker.is_empty()


async def test_without_a_queue_nobody_waits() -> None:
    worker = Worker(Overload(in_flight=1, queue=Queue(requests=0)))
    await worker.comes("first", "high")
    await worker.comes("second", "high")
    assert "limit of requests in flight" in worker.refused["second"]
    assert not worker.waited_s
    assert await worker.is_empty()


def test_what_is_read_beyond_the_bound_is_bounded_too() -> None:
    shedding, limits = LoadShedding(), Overload(in_flight=2, queue=Queue(requests=3))
    with ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(shedding.slot(None, limits))
        with pytest.raises(Overloaded, match="limit of requests in flight"), shedding.slot(None, limits):
            pass
    assert shedding.in_flight == 0
