"""The client of one exchange, as LiteLLM's app sees it: it has sent a body, and may leave."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from scalix.edge.asgi import Message, Receive
from scalix.service.exchange.exchanges import Exchange

# A provider that is at work when the client leaves may finish an answer that is not streamed: it is charged as it is.
FINISH_WHOLE_S = 30.0
# LiteLLM ends a stream whose client has left by itself, but not while it waits for the first byte.
FINISH_STREAM_S = 0.5
# A stream that has said that its answer is over is read on for its usage.
USAGE_WAIT_S = 2.0


class Client:
    """Watches `receive`, so that a client which leaves is noticed whatever LiteLLM's app is waiting for. `on_leave` is
    awaited where its provider is waited for all the same; `pause` waits for that many seconds."""

    def __init__(
        self,
        receive: Receive,
        exchange: Exchange,
        on_leave: Callable[[], Awaitable[None]],
        *,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._receive = receive
        self._exchange = exchange
        self._on_leave = on_leave
        self._pause = pause
        self._gone = asyncio.Event()

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Ends what runs in it, with `TimeoutError`, some time after the client has left."""
        grace_s = FINISH_STREAM_S if self._exchange.admission.streamed else FINISH_WHOLE_S
        async with asyncio.timeout(None) as deadline:
            watch = asyncio.create_task(self._watch(deadline, grace_s))
            try:
                yield
            finally:
                watch.cancel()

    async def _watch(self, deadline: asyncio.Timeout, grace_s: float) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        exchange = self._exchange
        exchange.client_left = True
        if not exchange.admission.streamed:
            await self._on_leave()
        elif exchange.attempt.finish_seen and not exchange.attempt.usage_is_final:
            await asyncio.gather(self._on_leave(), self._usage())
        self._gone.set()
        if exchange.admission.streamed:
            # Whatever it does unseen costs, and nobody will read it.
            exchange.hung_up = True
            if exchange.attempt.hang_up is not None:
                with suppress(Exception):
                    await exchange.attempt.hang_up()
        deadline.reschedule(asyncio.get_running_loop().time() + grace_s)

    async def _usage(self) -> None:
        """Wait until the provider has stated its usage, says more after all, or has had its time."""
        came = asyncio.Event()
        self._exchange.attempt.on_usage = came.set
        waits = [asyncio.ensure_future(came.wait()), asyncio.ensure_future(self._pause(USAGE_WAIT_S))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def replaying(self, body: bytes) -> Receive:
        """A `receive` that gives the body once, and then says when the client leaves."""
        given = False

        async def replay() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await self._gone.wait()
            return {"type": "http.disconnect"}

        return replay
