"""Reads that no quota counts: few at once, and none that nobody waits for any more."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import TypeVar

from scalix.domain.errors import Overloaded
from scalix.edge.asgi import Receive
from scalix.edge.bodies import ClientGone, left

T = TypeVar("T")
# A read may go through all events of many days: so many at once in one worker.
MOST_AT_ONCE = 2
_RETRY_S = 2


class Turns:
    """Who reads now, and who waits. `reads` names them in the refusal."""

    def __init__(self, reads: str) -> None:
        self._reads = reads
        self._turn = asyncio.Semaphore(MOST_AT_ONCE)
        self.asking: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, who: str, most: int | None) -> AsyncIterator[None]:
        """The turn of one read. Of `who`, at most so many read or wait. Raises `Overloaded`."""
        if most is not None and self.asking[who] >= most:
            what = f"{most} of your {self._reads} are being answered."
            raise Overloaded(f"{what} Try again in {_RETRY_S} seconds.", retry_after_s=_RETRY_S, reason=what)
        self.asking[who] += 1
        try:
            async with self._turn:
                yield
        finally:
            self.asking[who] -= 1
            if not self.asking[who]:
                del self.asking[who]


async def while_there(receive: Receive, read: Awaitable[T]) -> T:
    """What `read` gives; it is cancelled once the client has gone. Raises `ClientGone`."""
    reading, going = asyncio.ensure_future(read), asyncio.ensure_future(left(receive))
    try:
        await asyncio.wait((reading, going), return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            going.result()  # raises what is wrong with the request's body
            raise ClientGone
        return reading.result()
    finally:
        reading.cancel()
        going.cancel()
        await asyncio.gather(reading, going, return_exceptions=True)
