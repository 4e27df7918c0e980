"""Pages of events, which no quota counts: a few at once, of one caller fewer, and the operator waits."""

import asyncio
from typing import Any

import pytest

from scalix.domain.errors import Overloaded
from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.limits import UNLIMITED
from scalix.edge.rows import Request
from scalix.edge.unmetered_reads import MOST_AT_ONCE
from scalix.edge.usage_routes import MOST_OF_ONE, UsageRoutes
from scalix.service.identity.callers import THE_OPERATOR, Caller
from scalix.service.usage.usage_events import EventsPage

ANN, BEN = (Caller(Subject("user", name), None, UNLIMITED) for name in ("ann", "ben"))


class Events:
    """Pages that are read until `gate` opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.reading = 0

    async def page(self, caller: Caller, query: Any) -> EventsPage:
        self.reading += 1
        try:
            await self.gate.wait()
        finally:
            self.reading -= 1
        return EventsPage([], None)


class Whoever:
    """Takes everybody for `caller`."""

    caller = ANN

    async def authenticate(self, credential: Any) -> Caller:
        return self.caller


async def _no_body() -> Any:
    await asyncio.Event().wait()


async def test_one_caller_has_few_pages_read_at_once_and_nobody_waits_behind_them_for_ever() -> None:
    events, whoever = Events(), Whoever()
    routes = UsageRoutes(whoever, None, events, None)  # type: ignore[arg-type]

    async def begun(caller: Caller) -> "asyncio.Task[Any]":
        whoever.caller = caller
        task = asyncio.create_task(routes.events(Request({"headers": [], "query_string": b""}, _no_body)))
        for _ in range(5):
            await asyncio.sleep(0)
        return task

    tasks = [await begun(ANN) for _ in range(MOST_OF_ONE)]
    assert events.reading == MOST_AT_ONCE
    with pytest.raises(Overloaded) as refused:
        await (await begun(ANN))
    assert refused.value.retry_after_s == 2
    gone = await begun(BEN)
    tasks += [await begun(THE_OPERATOR) for _ in range(MOST_OF_ONE + 1)]
    gone.cancel()
    events.gate.set()
    for task in tasks:
        await task
    assert events.reading == 0
    assert not routes._turns.asking
    await (await begun(ANN))
