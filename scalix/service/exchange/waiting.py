"""Requests that wait for a place in a worker that carries as much as it may: who is next, and who waits no longer."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, Protocol

from scalix.domain.limits.durations import length_in_words
from scalix.domain.policy import Priority
from scalix.domain.requests.guard import Queue

HIGHEST_FIRST: tuple[Priority, ...] = ("high", "normal", "low")
# Of so many places that are given away, one goes to each priority that has somebody waiting: 5 %.
SHARE_OF_EACH = 20

Turn = asyncio.Future[str]
"""What a request waits for: empty for a place, else why there is none."""


class Timer(Protocol):
    def cancel(self) -> None: ...


class Clock(Protocol):
    """What is asked of an event loop."""

    def time(self) -> float: ...

    def call_later(self, delay: float, callback: Callable[..., object], *args: Any) -> Timer: ...


class WaitingLine:
    """One line for each priority, in order of arrival. `clock` gives the event loop, or what stands for it."""

    def __init__(self, clock: Callable[[], Clock] = asyncio.get_running_loop) -> None:
        self.clock = clock
        self._lines: dict[Priority, dict[Turn, None]] = {priority: {} for priority in HIGHEST_FIRST}
        # How many places others were given since one of this priority was, counted while somebody of it waits.
        self._passed_over: Counter[Priority] = Counter()
        self._is_closed = False

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def join(self, priority: Priority, queue: Queue) -> Turn:
        """A turn at the end of the line. In a full one, a higher priority takes the room of the last of a lower one."""
        turn: Turn = asyncio.get_running_loop().create_future()
        if self._is_closed:
            turn.set_result("The gateway is about to stop.")
        elif len(self) >= queue.requests and not self._make_room(priority, queue):
            turn.set_result("The gateway is busy, and as many requests wait as may.")
        else:
            self._lines[priority][turn] = None
            why = f"The gateway is busy, and had no place within {length_in_words(1000 * queue.wait_s)}."
            timer = self.clock().call_later(queue.wait_s, self._end, turn, why)
            turn.add_done_callback(lambda _: timer.cancel())
        return turn

    def give(self, is_free: Callable[[Priority], bool]) -> bool:
        """Give a place to the next one for whose priority there is one by `is_free`. Whether there was such a one."""
        waiting = self._waiting()
        for priority in reversed(waiting):
            if self._is_due(priority) and is_free("high"):
                break
        else:
            for priority in waiting:
                if is_free(priority):
                    break
            else:
                return False
        self._passed_over.update(waiting)
        self._passed_over[priority] = 0
        self._end(next(iter(self._lines[priority])), "")
        return True

    def passes(self, priority: Priority) -> bool:
        """Whether one who comes now goes before all who wait; if so, they count as passed over."""
        waiting, rank = self._waiting(), HIGHEST_FIRST.index(priority)
        if any(HIGHEST_FIRST.index(other) <= rank or self._is_due(other) for other in waiting):
            return False
        self._passed_over.update(waiting)
        return True

    def leave(self, turn: Turn) -> bool:
        """Wait no longer. Whether the turn had come, with a place."""
        self._end(turn, "The client has left.")
        return not turn.result()

    def close(self) -> None:
        """Let nobody wait any more."""
        self._is_closed = True
        for line in self._lines.values():
            for turn in tuple(line):
                self._end(turn, "The gateway is about to stop.")

    def _waiting(self) -> list[Priority]:
        return [priority for priority in HIGHEST_FIRST if self._lines[priority]]

    def _is_due(self, priority: Priority) -> bool:
        return self._passed_over[priority] >= SHARE_OF_EACH - 1

    def _make_room(self, priority: Priority, queue: Queue) -> bool:
        # So that each priority has somebody waiting for its share, it keeps that share of the line.
        kept = -(-queue.requests // SHARE_OF_EACH)
        has_less = len(self._lines[priority]) < kept
        for other in reversed(HIGHEST_FIRST):
            is_lower = HIGHEST_FIRST.index(other) > HIGHEST_FIRST.index(priority)
            if len(self._lines[other]) > kept and (is_lower or has_less):
                self._end(next(reversed(self._lines[other])), "The gateway is busy, and others go before your tier.")
                return True
        return False

    def _end(self, turn: Turn, result: str) -> None:
        for line in self._lines.values():
            line.pop(turn, None)
        if not turn.done():
            turn.set_result(result)
