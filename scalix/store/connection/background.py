"""Tasks that go on when the request which began them is over."""

import asyncio
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, TypeVar

from scalix.store.connection.deadline import StoreTime, share_store_time

T = TypeVar("T")


def in_background(work: Coroutine[Any, Any, T], *, store_time: StoreTime | None = None) -> asyncio.Task[T]:
    """Begin `work` with nothing of the request that begins it: neither what is left of its time for the store, nor the
    exchange that it serves. Who waits for the task meanwhile may let it draw on their own `store_time`.

    The caller keeps hold of the task: asyncio does not.
    """
    context = Context()
    context.run(share_store_time, store_time)
    return asyncio.get_running_loop().create_task(work, context=context)
