"""A worker at its bound: requests wait, hold nothing in the store meanwhile, and say how long they have waited."""

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.edge.gates import MASTER_KEY, Answered, InProcess, in_process

QUEUED = "x-scalix-queued-ms"
GUARD: dict[str, Any] = {"overload": {"in_flight": 1, "queue": {"requests": 4, "wait_s": 30}}}
HI = [{"role": "user", "content": "hi"}]


class Busy:
    """A worker whose only place is taken, until `release` is set."""

    def __init__(self, edge: InProcess) -> None:
        self.edge = edge
        self.release = asyncio.Event()
        edge.inner.before = self.release.wait
        self.tasks: list[asyncio.Task[Answered]] = []

    async def asks(self, user: str = "u", **options: Any) -> asyncio.Task[Answered]:
        """A request that is under way, and waits for its place or in the app."""
        before = self.queued, self.waiting, len(self.edge.inner.scopes)
        body = {"model": "free-small", "user": user, "messages": HI}
        task = asyncio.create_task(self.edge.chat(**{"body": body, **options}))
        self.tasks.append(task)
        await until(lambda: task.done() or before != (self.queued, self.waiting, len(self.edge.inner.scopes)))
        return task

    @property
    def waiting(self) -> int:
        return len(self.edge.core.exchange.shedding.line)

    async def in_store(self) -> int:
        """How many requests have reserved anything there."""
        found = await self.edge.core.usage.metrics.figures()
        return int(found["store_requests_in_flight"]["scalix_store_requests_in_flight"])

    @property
    def queued(self) -> float:
        """How many have waited."""
        return self.edge.core.usage.meters.cells.read().get("scalix_queued_seconds_count", 0)


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not is_so():  # noqa: ASYNC110  # nobody tells of it
            await asyncio.sleep(0.005)


@pytest.fixture
async def busy(tmp_path: Path, store_url: str) -> AsyncIterator[Busy]:
    async with in_process(tmp_path, store_url, guard=GUARD) as edge:
        for name, tier in (("vip", "premium"), ("small", "tiny")):
            assert (await edge.call(path="/user/new", body={"user_id": name, "tier": tier})).status == 200
        made = Busy(edge)
        yield made
        made.release.set()
        await asyncio.gather(*made.tasks)


async def test_who_waits_is_served_and_told_how_long_and_has_reserved_nothing(busy: Busy) -> None:
    first = await busy.asks()
    second = await busy.asks()
    assert (busy.waiting, await busy.in_store(), len(busy.edge.inner.scopes)) == (1, 1, 1)
    assert busy.edge.core.exchange.shedding.body_bytes > 2 * len("hi")
    await asyncio.sleep(0.05)
    busy.release.set()
    answers = await first, await second
    assert [answer.status for answer in answers] == [200, 200]
    assert QUEUED not in answers[0].headers
    assert 50 <= int(answers[1].headers[QUEUED]) < 10_000
    assert QUEUED not in (await busy.edge.chat()).headers
    metrics = await busy.edge.call("GET", "/metrics")
    assert b"\nscalix_requests_waiting 0.0\n" in metrics.body
    assert b"\nscalix_queued_seconds_count 1.0\n" in metrics.body


async def test_premium_goes_before_free(busy: Busy) -> None:
    await busy.asks()
    await busy.asks("free")
    await busy.asks("vip", body={"model": "large", "user": "vip", "messages": HI})
    busy.release.set()
    await asyncio.gather(*busy.tasks)
    assert [body["model"] for body in busy.edge.inner.bodies] == ["free-small", "large", "free-small"]


async def test_a_client_that_leaves_leaves_the_line_and_is_charged_nothing(busy: Busy) -> None:
    await busy.asks()
    left = asyncio.Event()
    messages = [
        {"type": "http.request", "body": b'{"model": "free-small", "messages": [{"role": "user", "content": "x"}]}'}
    ]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await left.wait()
        return {"type": "http.disconnect"}

    gone = await busy.asks(receive=receive)
    assert busy.waiting == 1
    left.set()
    assert (await gone).status == 0
    assert (busy.waiting, await busy.in_store(), len(busy.edge.inner.scopes)) == (0, 1, 1)


@pytest.mark.parametrize("at_once", [True, False])
async def test_what_is_refused_in_any_case_does_not_wait(busy: Busy, *, at_once: bool) -> None:
    small = {"model": "free-small", "user": "small", "messages": HI}
    busy.release.set()
    busy.edge.core.exchange.known._clock = lambda: 0.0  # what is known stays so
    assert [(await busy.edge.call(body=small)).status for _ in range(4)] == [200, 429, 429, 429]
    busy.release.clear()
    await busy.asks()
    calls: list[tuple[int, dict[str, Any]]] = [
        (429, {"body": small}),
        (401, {"key": "sk-wrong"}),
        (400, {"body": {"model": "free-small", "messages": "hi"}}),
        (403, {"body": {"model": "large", "user": "u", "messages": HI}}),
        (404, {"body": {"model": "no-such", "user": "u", "messages": HI}}),
    ]
    for status, options in calls:
        answer = await busy.edge.chat(at_once=at_once, **options)
        assert (answer.status, QUEUED in answer.headers) == (status, False)
    assert busy.queued == 0


async def test_a_full_line_and_a_drain_are_503_and_say_when_to_come_again(busy: Busy) -> None:
    await busy.asks()
    waiting = [await busy.asks() for _ in range(4)]
    refused = await busy.edge.chat()
    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "overloaded", "2")
    assert QUEUED not in refused.headers
    busy.edge.gate.drain()
    for task in waiting:
        answer = await task
        assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "overloaded", "2")
        assert int(answer.headers[QUEUED]) > 0
    assert (busy.waiting, await busy.in_store()) == (0, 1)


async def test_a_wait_has_its_end(tmp_path: Path, store_url: str) -> None:
    guard = {"overload": {"in_flight": 1, "queue": {"requests": 4, "wait_s": 1}}}
    async with in_process(tmp_path, store_url, guard=guard) as edge:
        busy = Busy(edge)
        await busy.asks()
        answer = await edge.chat(key=MASTER_KEY)
        assert (answer.status, "within 1 second." in answer.error["message"]) == (503, True)
        assert int(answer.headers[QUEUED]) >= 990
        busy.release.set()
        await asyncio.gather(*busy.tasks)
