"""What a request begins and does not wait for has nothing of the request."""

import asyncio
from contextvars import ContextVar

from scalix.store.connection.background import in_background
from scalix.store.connection.deadline import StoreTime, grant_store_time, granted_store_time

exchange: ContextVar[str | None] = ContextVar("exchange", default=None)


async def seen() -> tuple[StoreTime | None, str | None]:
    return granted_store_time(), exchange.get()


async def test_a_task_in_the_background_sees_nothing_of_the_request_that_began_it() -> None:
    grant_store_time(7)
    exchange.set("of the request")
    assert await in_background(seen()) == (None, None)
    assert await asyncio.create_task(seen()) == (granted_store_time(), "of the request")


async def test_it_may_draw_on_the_time_of_who_waits_for_it_and_no_more() -> None:
    grant_store_time(7)
    exchange.set("of the request")
    granted = granted_store_time()
    assert granted is not None
    assert await in_background(seen(), store_time=granted) == (granted, None)
