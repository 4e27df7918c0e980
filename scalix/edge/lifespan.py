"""Start and end of the worker, around those of LiteLLM's app."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence

from scalix.domain.faults import shown_fault
from scalix.edge.asgi import ASGIApp, Message, Receive, Scope, Send
from scalix.store.base import StoreError
from scalix.store.connection.background import in_background

log = logging.getLogger("scalix.edge")

Job = Callable[[], Awaitable[object]]


class Lifespan:
    """The life of a worker around that of `inner`, LiteLLM's app.

    every: (seconds, job), in the background while it is up.
    at_start, at_end: when it has started, and when it has gone down.
    reload: puts a new policy in force, and returns its number.
    """

    def __init__(
        self,
        inner: ASGIApp,
        every: Sequence[tuple[float, Job]] = (),
        at_end: Sequence[Job] = (),
        at_start: Sequence[Job] = (),
        reload: Callable[[], int] = lambda: 0,
    ) -> None:
        self._inner = inner
        self.reload = reload
        self._at_start = at_start
        self._every = every
        self._at_end = at_end
        self.is_up = self.is_leaving = False
        self.problem = ""  # why the start has failed

    def leave(self) -> None:
        """The worker is about to end; it still serves, and load balancers are to look elsewhere."""
        self.is_leaving = True

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the `lifespan` scope."""
        tasks: list[asyncio.Task[None]] = []

        async def noting(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                await self._start(tasks)
                self.is_up = True
                tasks.extend(start_jobs(self._every))
            elif message["type"] == "lifespan.shutdown.complete":
                await self._end(tasks)
            elif message["type"] == "lifespan.startup.failed":
                # What LiteLLM's app says is a whole traceback, whose last line is the reason.
                lines = str(message.get("message", "")).strip().splitlines()
                self.problem = self.problem or (lines[-1] if lines else "")
                message = {**message, "message": self.problem}
            await send(message)

        await self._inner(scope, receive, noting)

    async def _start(self, tasks: list[asyncio.Task[None]]) -> None:
        try:
            for job in self._at_start:
                await job()
        except Exception as error:
            self.problem = str(error)
            await self._end(tasks)
            raise

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        self.is_up = False
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for job in self._at_end:
            await job()


def start_jobs(every: Sequence[tuple[float, Job]]) -> list[asyncio.Task[None]]:
    """Run each job for ever, with its pause in seconds before each time, in the running event loop."""
    tasks = [in_background(_repeat(pause_s, job)) for pause_s, job in every]
    _running.update(tasks)
    for task in tasks:
        task.add_done_callback(_running.discard)
    return tasks


_running: set[asyncio.Task[None]] = set()  # asyncio itself keeps no hold of a task


async def _repeat(pause_s: float, job: Job) -> None:
    while True:
        await asyncio.sleep(pause_s)
        try:
            await job()
        except StoreError as fault:
            log.warning("a background job has to wait: %s", fault)
        except Exception as error:
            log.error("a background job failed: %s", shown_fault(error))
