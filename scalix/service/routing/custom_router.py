"""Asks the operator's own function for the model of a request, and bears with whatever it does."""

import asyncio
import logging
from typing import Any

from scalix.domain.faults import shown_fault
from scalix.service.routing.hook_threads import THREADS, HookThreads
from scalix.service.routing.loading import Hook

WITHIN_S = 0.05
MOST_OVERRUNS = 3
_MOST_TOLD = 100
_MOST_PARTS = 20_000

log = logging.getLogger("scalix.routing")


class CustomRouter:
    """One function, `name` in the config. After `MOST_OVERRUNS` overruns in a row, failures among them, it is off.

    What runs on after `within_s` keeps its thread, and where all of them are kept so, that is an overrun too. A call
    for which no thread becomes free in time is none: many may ask at once.
    """

    def __init__(self, name: str, hook: Hook, within_s: float = WITHIN_S) -> None:
        self.name = name
        self._hook = hook
        self._within_s = within_s
        self._threads = HookThreads(f"custom-router {name}")
        self._free = asyncio.Semaphore(THREADS)
        self._held_up = 0
        self._in_a_row = 0
        self._told: set[str] = set()
        self.overruns = 0
        self.is_off = False

    async def answer(self, user_id: str, model: str, messages: list[Any]) -> Any:
        """What the function answers in time; else `None`."""
        if self.is_off:
            return None
        loop = asyncio.get_running_loop()
        ends_s = loop.time() + self._within_s
        try:
            async with asyncio.timeout_at(ends_s):
                await self._free.acquire()
        except TimeoutError:
            if self._held_up >= THREADS:
                self._overran("every thread of it is held up")
            return None
        if self.is_off:
            self._free.release()
            return None
        began_s, call = loop.time(), _Call(loop.create_future())

        def done(answer: Any, fault: BaseException | None) -> None:
            self._free.release()
            self._held_up -= call.is_held_up
            call.fault = fault
            if not call.answer.done():
                call.answer.set_result(answer)

        # What it does with the messages, now or later, is no part of the request.
        self._threads.run(lambda: self._hook(user_id, model, copied(messages)), done)
        try:
            await asyncio.wait([call.answer], timeout=ends_s - began_s)
        finally:
            if not call.answer.done():
                call.is_held_up = True
                self._held_up += 1
        if call.is_held_up:
            if loop.time() - began_s >= self._within_s * 0.9:
                self._overran(f"it took more than {self._within_s * 1000:.0f} ms")
            return None
        if isinstance(call.fault, TooMuch):
            return None
        if call.fault is not None:
            self._overran(shown_fault(call.fault))
            return None
        self._in_a_row = 0
        return call.answer.result()

    def warn_once(self, text: str) -> None:
        """Log a line about this function, the first time that there is reason to."""
        if text not in self._told and len(self._told) < _MOST_TOLD:
            self._told.add(text)
            log.warning("custom_router %s: %s", self.name, text)

    def close(self) -> None:
        """Have its threads end."""
        self._threads.close()

    def _overran(self, why: str) -> None:
        if self.is_off:
            return
        self.overruns += 1
        self._in_a_row += 1
        self.warn_once(f"no answer: {why}; the route's rules decide")
        if self._in_a_row >= MOST_OVERRUNS:
            self.is_off = True
            self._threads.stop()
            what = "is off in this worker until --reload or a restart: it has failed or overrun %d times in a row"
            log.error("custom_router %s " + what + "; the last time: %s", self.name, MOST_OVERRUNS, why)


class TooMuch(Exception):
    """Messages of so many parts that copying them alone takes too long. Whoever sends them switches nothing off."""


def copied(messages: list[Any]) -> list[Any]:
    """The messages anew. Raises `TooMuch`."""
    left = _MOST_PARTS

    def copy_of(value: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            raise TooMuch
        if isinstance(value, dict):
            return {name: copy_of(item) for name, item in value.items()}
        return [copy_of(item) for item in value] if isinstance(value, list) else value

    try:
        copy: list[Any] = copy_of(messages)
    except RecursionError:
        raise TooMuch from None
    return copy


class _Call:
    def __init__(self, answer: asyncio.Future[Any]) -> None:
        self.answer = answer
        self.fault: BaseException | None = None
        self.is_held_up = False
