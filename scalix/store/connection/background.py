"""Tasks that go on when the request which began them is over."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

from scalix.store.connection.deadline import StoreTime, share_store_time

T = TypeVar("T")


def in_background(work: Coroutine[Any, Any, T], *, store_time: StoreTime | None = None) -> asyncio.Task[T]:
    """Begin `work` as a task that shares nothing with the request that begins it: neither the time that it has left for
    the store, nor the exchange that it serves.

    Whoever waits for the task may let it use their own `store_time`. The caller keeps a reference to the task, which
    asyncio does not.
    """
    context = Context()
    context.run(share_store_time, store_time)
    return asyncio.get_running_loop().create_task(work, context=context)
