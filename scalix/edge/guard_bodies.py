"""A `receive` under which a body arrives at a decent pace, and takes no more memory than there is."""

import asyncio
from collections.abc import Callable

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import Message, Receive

# A body may stall this long in all, and longer only by what has arrived at the slowest pace.
GRACE_S = 15.0
SLOWEST_BYTES_PER_S = 2_048
LONGEST_S = 60.0


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
        try:
            async with asyncio.timeout_at(started_s + patience_s):
                message = await receive()
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
