"""Calls to one server. Those made in the same turn of the event loop go out in one write, which halves their cost."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hiredis import pack_command
from redis.exceptions import ResponseError

from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.connection.deadline import patient_timeout
from scalix.store.connection.wire import Wire

MOST_WAITING = 10_000
MOST_TOGETHER = 128

Arguments = tuple[Any, ...]
Options = Mapping[str, Any]


@dataclass(slots=True)
class _Call:
    arguments: Arguments
    options: Options
    answer: asyncio.Future[Any]
    asking: bool


@dataclass(eq=False, repr=False)
class Lane:
    """The calls to one server: a bounded queue, and the few connections that carry it in turn. For one event loop.

    `connect` makes a connection of redis-py's, unconnected. `callbacks` turn answers into what redis-py's commands
    promise. `on_fault` is called when the server could not be reached or did not answer in time.
    """

    connect: Callable[[], Any]
    callbacks: Mapping[str, Callable[..., Any]]
    timeout_ms: int
    connections: int
    most_waiting: int = MOST_WAITING
    on_fault: Callable[[], None] = lambda: None
    _waiting: deque[_Call] = field(default_factory=deque, init=False)
    _idle: list[Wire] = field(default_factory=list, init=False)
    _workers: set[asyncio.Task[None]] = field(default_factory=set, init=False)
    _starting: bool = field(default=False, init=False)
    _closed: bool = field(default=False, init=False)

    def call(self, arguments: Arguments, options: Options, *, asking: bool = False) -> asyncio.Future[Any]:
        """The answer to come. It fails with `StoreUnavailable` or with redis-py's error for what the server said.

        Cancelling it takes the call out of the queue if it has not been sent, and leaves all others alone. `asking`
        is for a key that is moving to this node of a cluster. Raises StoreUnavailable when the queue is full.
        """
        if len(self._waiting) >= self.most_waiting:
            self._waiting = deque(call for call in self._waiting if not call.answer.done())
        if self._closed or len(self._waiting) >= self.most_waiting:
            raise StoreUnavailable("the store is closed" if self._closed else "too many calls wait for the store")
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(arguments, options, answer, asking))
        self._start_worker()
        return answer

    def lanes(self) -> list["Lane"]:
        """This one: all there is where there is one server."""
        return [self]

    async def aclose(self) -> None:
        """Give up what is under way and close the connections."""
        self._closed = True
        workers = list(self._workers)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        _fail(self._waiting, "the store is closed")
        self._waiting.clear()
        await self.drop_idle()

    async def drop_idle(self) -> None:
        """Let the next calls connect anew: the name may stand for another server after a fail-over."""
        for wire in self._idle:
            await wire.drop()

    def _start_worker(self) -> None:
        # A worker that has not run yet will find this call too.
        if not self._starting and len(self._workers) < self.connections:
            self._starting = True
            worker = in_background(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._workers.discard)

    async def _work(self) -> None:
        self._starting = False
        while calls := self._next_calls():
            if self._waiting:
                self._start_worker()
            await self._carry(calls)
        # Not by the callback of the task alone: a call made before it runs would find no worker and start none.
        task = asyncio.current_task()
        if task is not None:
            self._workers.discard(task)

    def _next_calls(self) -> list[_Call]:
        calls: list[_Call] = []
        while self._waiting and len(calls) < MOST_TOGETHER:
            call = self._waiting.popleft()
            if not call.answer.done():
                calls.append(call)
        return calls

    async def _carry(self, calls: list[_Call]) -> None:
        wire = self._idle.pop() if self._idle else Wire(self.connect)
        try:
            async with patient_timeout(self.timeout_ms):
                connection = await wire.ready()
                await connection.send_packed_command(b"".join(map(_packed, _commands(calls))), check_health=False)
                for call in calls:
                    await self._read_answer(connection, call)
        except Exception as error:
            await wire.drop()
            # What has happened to one has happened to the others, which would each cost calls to find out.
            await self.drop_idle()
            timed_out = isinstance(error, TimeoutError)
            late = f"the store did not answer within {self.timeout_ms} ms"
            _fail(calls, late if timed_out else f"the store failed: {type(error).__name__}", error)
            self.on_fault()
        except BaseException:
            await wire.drop()
            _fail(calls, "the store is closed")
            raise
        finally:
            self._idle.append(wire)

    async def _read_answer(self, connection: Any, call: _Call) -> None:
        try:
            if call.asking:
                await connection.read_response()
            answer = await connection.read_response()
            callback = self.callbacks.get(call.arguments[0])
            if callback is not None:
                # `keys` is redis-py's own, for its client-side cache.
                answer = callback(answer, **{name: value for name, value in call.options.items() if name != "keys"})
        except ResponseError as error:
            if not call.answer.done():
                call.answer.set_exception(error)
        else:
            if not call.answer.done():
                call.answer.set_result(answer)


def _commands(calls: Iterable[_Call]) -> Iterable[Arguments]:
    for call in calls:
        if call.asking:
            yield ("ASKING",)
        yield call.arguments


def _packed(arguments: Arguments) -> bytes:
    """A command as it is sent. redis-py's asynchronous connections do the same in Python, at ten times the cost."""
    name, *rest = arguments
    packed: bytes = pack_command((*str(name).split(), *rest))  # of a name such as `SCRIPT LOAD` each word is sent
    return packed


def _fail(calls: Iterable[_Call], reason: str, cause: Exception | None = None) -> None:
    for call in calls:
        if not call.answer.done():
            fault = StoreUnavailable(reason)
            fault.__cause__ = cause
            call.answer.set_exception(fault)
