"""A few threads for functions that may hang: they never keep the process from ending, and there are never more."""

import asyncio
import ctypes
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any

THREADS = 4

_Done = Callable[[Any, BaseException | None], None]
_Call = tuple[Callable[[], Any], asyncio.AbstractEventLoop, _Done]


class HookThreads:
    """Runs calls in threads that are begun as they are needed. The caller sees to it that there are never more than
    `THREADS` calls at once."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._running = 0
        self._threads: list[threading.Thread] = []

    def run(self, call: Callable[[], Any], done: _Done) -> None:
        """Have `call` run; `done` is called in this event loop with its answer, or with what it has raised."""
        self._running += 1
        if self._running > len(self._threads):
            thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            thread.start()
            self._threads.append(thread)

        def over(answer: Any, fault: BaseException | None) -> None:
            self._running -= 1
            done(answer, fault)

        self._calls.put((call, asyncio.get_running_loop(), over))

    def close(self) -> None:
        """Have the threads end, each when its call does."""
        for _ in self._threads:
            self._calls.put(None)

    def stop(self) -> None:
        """Have them end now where they can be reached: what waits outside of Python can't be, and costs nothing."""
        self.close()
        for thread in self._threads:
            if thread.ident is not None and thread.is_alive():
                ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit))

    def _serve(self) -> None:
        with suppress(SystemExit):  # by `stop`
            while (item := self._calls.get()) is not None:
                _run(*item)


def _run(call: Callable[[], Any], loop: asyncio.AbstractEventLoop, done: _Done) -> None:
    answer: Any = None
    fault: BaseException | None = None
    try:
        answer = call()
    except BaseException as error:
        fault = error
    with suppress(RuntimeError):  # the worker has ended
        loop.call_soon_threadsafe(done, answer, fault)
