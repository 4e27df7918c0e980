"""A `receive` under which a body arrives at a decent pace, and takes no more memory than there is."""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import Message, Receive

# A body may stall this long in all, and longer only by what has arrived at the slowest pace.
GRACE_S = 15.0
SLOWEST_BYTES_PER_S = 2_048
LONGEST_S = 60.0


class _Rest:
    """What is left of an awaitable that has been taken up to `first`, which it waits for."""

    def __init__(self, first: Any, rest: Generator[Any, Any, Message]) -> None:
        self._first = first
        self._rest = rest

    def __await__(self) -> Generator[Any, Any, Message]:
        try:
            yield self._first
        except BaseException as error:
            # It is the waiting one's: a cancellation has to reach it.
            return (yield from _thrown(self._rest, error))
        return (yield from self._rest)


def _thrown(rest: Generator[Any, Any, Message], error: BaseException) -> Generator[Any, Any, Message]:
    try:
        waits_for = rest.throw(error)
    except StopIteration as ended:
        return ended.value  # type: ignore[no-any-return]
    return (yield from _Rest(waits_for, rest).__await__())


def paced(receive: Receive, hold: Callable[[int], None] = lambda size: None) -> Receive:
    """`receive` that raises `BadRequest` for a body that trickles in, or is not whole in `LONGEST_S`. `hold` is told of
    each part's size, and may raise. After the body it only passes on.
    """
    started_s: float | None = None
    arrived = 0
    complete = False

    async def receive_in_time() -> Message:
        nonlocal started_s, arrived, complete
        if complete:
            return await receive()
        now_s = asyncio.get_running_loop().time()
        started_s = now_s if started_s is None else started_s
        patience_s = min(LONGEST_S, GRACE_S + arrived / SLOWEST_BYTES_PER_S)
        message: Message
        waiting = receive().__await__()
        try:
            # Most bodies have come with their heads, and need no timer.
            first = next(waiting)
        except StopIteration as ready:
            message = ready.value
        else:
            try:
                async with asyncio.timeout_at(started_s + patience_s):
                    message = await _Rest(first, waiting)
            except TimeoutError:
                raise BadRequest("The request's body arrives too slowly. Send it at once.") from None
        if message["type"] != "http.request":
            complete = True
            return message
        size = len(message.get("body", b""))
        arrived += size
        complete = not message.get("more_body", False)
        hold(size)
        return message

    return receive_in_time
