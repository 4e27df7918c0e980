"""A circuit breaker: when the store is away, its callers are told so at once instead of waiting for it."""

import asyncio
import functools
import inspect
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from scalix.store.base import StoreError, StoreUnavailable

FAILURES_TO_OPEN = 3
PAUSE_S = 2.0

log = logging.getLogger("scalix.store")

Store = TypeVar("Store")
_probing: ContextVar[bool] = ContextVar("store_probe", default=False)


def _nothing(*_: float) -> None:
    pass


@dataclass(eq=False)
class Breaker:
    """Opens after `failures` in a row, or one that is `for_all`, and lets one call at a time try again when `pause_s`
    seconds have passed.

    Any call that the store answers closes it. `clock` gives seconds, monotonic. `called` is told how long a call took
    that was answered, `failed` of each other, and `opened` when it opens.
    """

    clock: Callable[[], float] = time.monotonic
    failures: int = FAILURES_TO_OPEN
    pause_s: float = PAUSE_S
    called: Callable[[float], None] = field(default_factory=lambda: _nothing, init=False)
    failed: Callable[[], None] = field(default_factory=lambda: _nothing, init=False)
    opened: Callable[[], None] = field(default_factory=lambda: _nothing, init=False)
    state: str = field(default="ok", init=False)
    """What the store is, in words for the operator, as calls have shown. What it says itself of writing, such as that
    it can't, holds until it has taken one: `probe` writes then, and that others may read says nothing."""
    _failures: int = field(default=0, init=False)
    _opened_s: float | None = field(default=None, init=False)
    _retry_at_s: float = field(default=0.0, init=False)
    _trying: bool = field(default=False, init=False)
    _waiting: set[asyncio.Timeout] = field(default_factory=set, init=False)

    @property
    def is_closed(self) -> bool:
        """Whether calls go through."""
        return self._opened_s is None

    @property
    def is_well(self) -> bool:
        """Whether the last call that says something about the store went well."""
        return self._failures == 0 and self._opened_s is None and self.state == "ok"

    @contextmanager
    def call(self) -> Iterator[None]:
        """One call to the store. Raises `StoreUnavailable` at once while the breaker is open."""
        trying = self._enter()
        try:
            yield
        except StoreUnavailable as fault:
            if fault.counts:
                self._failed(fault)
            raise
        except StoreError:
            self._answered()
            raise
        else:
            self._answered()
        finally:
            if trying:
                self._trying = False

    async def unless_it_opens(self, answer: Awaitable[Any]) -> Any:
        """The answer of a call under way. When the breaker opens there is no use in waiting on: `StoreUnavailable`."""
        try:
            async with asyncio.timeout(None) as scope:
                self._waiting.add(scope)
                try:
                    return await answer
                finally:
                    self._waiting.discard(scope)
        except TimeoutError:
            raise StoreUnavailable("the store went away during the call", counts=False) from None

    @contextmanager
    def probe(self) -> Iterator[None]:
        """Calls within are let through without waiting for the pause: for the job that watches the store."""
        token = _probing.set(True)
        try:
            yield
        finally:
            _probing.reset(token)

    def _enter(self) -> bool:
        """Whether this call is the one that tries again."""
        if self._opened_s is None:
            return False
        if self._trying or not (_probing.get() or self.clock() >= self._retry_at_s):
            raise StoreUnavailable("the store is away", maybe_acted=False, counts=False)
        self._trying = True
        return True

    def _failed(self, fault: StoreUnavailable) -> None:
        now_s = self.clock()
        self._failures += 1
        self.state = fault.state
        self.failed()
        self._retry_at_s = now_s + self.pause_s
        if self._opened_s is None and (self._failures >= self.failures or fault.for_all):
            self._opened_s = now_s
            self.opened()
            for scope in self._waiting:
                scope.reschedule(0.0)
            log.error(
                "the store is away (%s; %s): tiers with 'on_store_failure: allow' go on with local counters, others "
                "are answered 503, until it is back",
                *(fault.state, fault),
            )

    def _answered(self) -> None:
        self._failures = 0
        if self.state == "unreachable" or _probing.get():
            self.state = "ok"
        if self._opened_s is not None:
            log.warning("the store is back after %.1f s", self.clock() - self._opened_s)
            self._opened_s = None


class _Guarded:
    """Puts every coroutine method of a store behind a breaker."""

    def __init__(self, store: Any, breaker: Breaker) -> None:
        self._store = store
        self._breaker = breaker

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if not inspect.iscoroutinefunction(method):
            return method
        breaker = self._breaker

        @functools.wraps(method)
        async def guarded_method(*args: Any, **kwargs: Any) -> Any:
            began_s = time.perf_counter()
            with breaker.call():
                answer = await breaker.unless_it_opens(method(*args, **kwargs))
            breaker.called(time.perf_counter() - began_s)
            return answer

        # Found without this function from now on.
        self.__dict__[name] = guarded_method
        return guarded_method


def guarded(store: Store, breaker: Breaker) -> Store:
    """`store` with all its calls behind `breaker`."""
    return cast(Store, _Guarded(store, breaker))
