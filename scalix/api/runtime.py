"""Runs asynchronous services for synchronous callers, in an event loop in a thread."""

import asyncio
import os
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from selectors import BaseSelector, DefaultSelector
from typing import TYPE_CHECKING, Any, TypeVar

from scalix.api.errors import SetupError, StoreNotRunning
from scalix.api.names import with_remedy
from scalix.api.place import Place, find_place
from scalix.store.base import CallRejected, StoreUnavailable

if TYPE_CHECKING:
    from scalix.api.services import Services

T = TypeVar("T")
_LEFT: list[object] = []  # what a forked child keeps of its parent's, so that it is not closed
Act = Callable[["Services"], Awaitable[T]]


class Runtime:
    """Finds the store at the first call, and again after one that it did not answer. A forked child gets a loop of its
    own. `find` says where the store is."""

    def __init__(self, find: Callable[[], Place] = find_place) -> None:
        self._find = find
        self._starting = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()
        self._selector: BaseSelector | None = None
        self._place: Place | None = None
        self._services: Services | None = None

    def place(self) -> Place:
        """Where the gateway is. Raises `SetupError`."""
        if self._place is None:
            self._place = self._find()
        return self._place

    def run(self, act: Act[T]) -> T:
        """Run `act` and return what it returns. Raises what it raises, and `StoreNotRunning`, `SetupError`."""
        try:
            return self._submit(self._act(act)).result()
        except (StoreNotRunning, SetupError, LookupError, ValueError, ModuleNotFoundError) as error:
            # The traceback of this module says nothing to the reader of the message.
            raise _to_be_read(error) from None

    async def arun(self, act: Act[T]) -> T:
        """As `run`, for asynchronous callers in any event loop."""
        try:
            return await asyncio.wrap_future(self._submit(self._act(act)))
        except (StoreNotRunning, SetupError, LookupError, ValueError, ModuleNotFoundError) as error:
            raise _to_be_read(error) from None

    def close(self) -> None:
        """Close the connections and end the thread. The next call starts them again. Not needed before an exit."""
        with self._starting:
            loop, self._loop = self._loop, None
            services, self._services = self._services, None
            if loop is None or self._pid != os.getpid():
                return
            if services is not None:
                asyncio.run_coroutine_threadsafe(services.client.aclose(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            if self._thread is not None:
                self._thread.join()
            loop.close()

    def _submit(self, work: Coroutine[Any, Any, T]) -> "Future[T]":
        with self._starting:
            if self._pid != os.getpid():
                self._leave_parents_loop()
            if self._loop is None:
                self._selector = DefaultSelector()
                self._loop = asyncio.SelectorEventLoop(self._selector)
                self._thread = threading.Thread(target=self._loop.run_forever, name="scalix-api", daemon=True)
                self._thread.start()
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _leave_parents_loop(self) -> None:
        """After a fork: to unregister the parent's connections would unregister them for the parent too, so they stay
        as they are, with a selector that is this process's no more."""
        if self._selector is not None:
            self._selector.close()
            _LEFT.append((self._loop, self._services))
        self._pid, self._loop, self._services, self._selector = os.getpid(), None, None, None

    async def _act(self, act: Act[T]) -> T:
        services = self._opened()
        try:
            return await act(services)
        except CallRejected:
            raise
        except StoreUnavailable as fault:
            if self._services is services:
                # It may be elsewhere when it is back.
                self._services, place, self._place = None, self.place(), None
                await services.client.aclose()
            else:
                place = self.place()
            raise StoreNotRunning(place.no_answer(fault), maybe_acted=fault.maybe_acted) from None

    def _opened(self) -> "Services":
        place = self.place()
        if self._services is not None:
            self._services.policy.replace(place.policy)
        else:
            try:
                # First, so that a store that is not there is told without loading what speaks to one.
                _ = place.store_url
                from scalix.api.services import open_services

                self._services = open_services(place)
            except StoreNotRunning:
                self._place = None
                raise
        return self._services


def _to_be_read(error: Exception) -> Exception:
    """The error without the traceback of this module and its thread."""
    told = with_remedy(error) if isinstance(error, ModuleNotFoundError) else error
    return told.with_traceback(None)


RUNTIME = Runtime()
"""The one that the names of `scalix_callbacks` share."""
