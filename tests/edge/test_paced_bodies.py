"""Bodies under a pace: those that are there are passed on at once, others are waited for, and no wait is for ever."""

import asyncio

import pytest

from scalix.domain.errors import BadRequest
from scalix.edge import guard_bodies
from scalix.edge.asgi import Message
from scalix.edge.guard_bodies import paced

BODY: Message = {"type": "http.request", "body": b"{}", "more_body": False}


async def test_a_body_that_has_come_is_passed_on_and_one_that_has_not_is_waited_for() -> None:
    arrived = asyncio.Event()

    async def later() -> Message:
        await arrived.wait()
        await asyncio.sleep(0)
        return BODY

    async def now() -> Message:
        return BODY

    held: list[int] = []
    assert await paced(now, held.append)() is BODY
    waiting = asyncio.ensure_future(paced(later, held.append)())
    await asyncio.sleep(0)
    assert not waiting.done()
    arrived.set()
    assert await waiting is BODY
    assert held == [2, 2]


@pytest.mark.parametrize("by_time", [True, False])
async def test_a_wait_that_ends_early_ends_inside_too(by_time: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[str] = []

    async def never() -> Message:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("inside")
        return BODY

    if by_time:
        monkeypatch.setattr(guard_bodies, "GRACE_S", 0.0)
        with pytest.raises(BadRequest, match="too slowly"):
            await paced(never)()
    else:
        task = asyncio.ensure_future(paced(never)())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended == ["inside"]


async def test_an_error_on_the_way_is_the_callers() -> None:
    async def at_once() -> Message:
        raise ConnectionError("gone")

    async def later() -> Message:
        await asyncio.sleep(0)
        raise ConnectionError("gone")

    for receive in (at_once, later):
        with pytest.raises(ConnectionError):
            await paced(receive)()
