"""Routes through a Redis Cluster: which node has a key, kept up to date while nodes move and fail over."""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from typing import Any

from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, ReadOnlyError, RedisError, TryAgainError

from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.connection.lane import Arguments, Lane, Options

SLOTS = 16_384
_MOST_REDIRECTIONS = 5
_PAUSE_WHEN_MOVING_S = 0.01
_PAUSE_BETWEEN_LOOKS_S = 0.1
_LOOK_TIMEOUT_S = 0.5
_NEXT_IS_ASKED_AFTER_S = 0.05

Address = tuple[str, int]
Ranges = tuple[Address, Sequence[Any]]
LaneMaker = Callable[[Address, Callable[[], None]], Lane]

log = logging.getLogger("scalix.store")

# Commands that are about a server, not about a key.
_KEYLESS = {"PING", "TIME", "INFO", "SCAN", "DBSIZE", "CONFIG GET", "SCRIPT LOAD", "SCRIPT EXISTS", "ECHO"}


class ClusterRoutes:
    """Sends each call to the node of a Redis Cluster that has its key, and follows where keys move.

    There is one lane for each node that was needed. `seeds` are the addresses that the operator gave, which are always
    among those that are asked for the nodes.
    """

    def __init__(self, seeds: Sequence[Address], make_lane: LaneMaker) -> None:
        self._seeds = dict.fromkeys(seeds)
        self._make_lane = make_lane
        self._lanes: dict[Address, Lane] = {}
        self._owners: list[Address | None] = [None] * SLOTS
        self._known: list[Address] = []
        self._looking: asyncio.Task[None] | None = None
        self._closing: set[asyncio.Task[None]] = set()
        self._faulty: set[Address] = set()

    async def call(self, arguments: Arguments, options: Options) -> Any:
        """The answer of the node that has the key, followed over redirections. Raises StoreUnavailable, RedisError."""
        address, asking = self._address_of(arguments), False
        for _ in range(_MOST_REDIRECTIONS):
            try:
                return await self._lane(address).call(arguments, options, asking=asking)
            except MovedError as moved:
                address, asking = _target(moved, address), False
                self._owners[int(moved.slot_id)] = address
                self._look_soon()
            except AskError as ask:
                address, asking = _target(ask, address), True
            except TryAgainError:
                await asyncio.sleep(_PAUSE_WHEN_MOVING_S)
            except (ClusterDownError, ReadOnlyError) as error:
                self._look_soon()
                raise StoreUnavailable(f"the cluster failed: {type(error).__name__}") from error
        raise StoreUnavailable("the cluster sends a key from node to node")

    def lanes(self) -> list[Lane]:
        """The lanes of all primaries."""
        return [self._lane(address) for address in dict.fromkeys(self._owners) if address is not None]

    async def look(self) -> None:
        """Learn from the first node that answers who owns what. Raises StoreUnavailable if none does."""
        others = [address for address in self._known if address not in self._seeds]
        random.shuffle(others)
        in_turn = sorted([*others, *self._seeds], key=self._faulty.__contains__)
        asked: set[asyncio.Task[Ranges]] = set()
        try:
            while in_turn or asked:
                if in_turn:
                    asked.add(in_background(self._ask(in_turn.pop(0))))
                # Of those that have failed we know it at once. One that keeps silent must not cost the time of a call.
                done, asked = await asyncio.wait(
                    asked, timeout=_NEXT_IS_ASKED_AFTER_S if in_turn else None, return_when=asyncio.FIRST_COMPLETED
                )
                for address, ranges in (task.result() for task in done):
                    if ranges:
                        self._learn(address, ranges)
                        return
        finally:
            for task in asked:
                task.cancel()
        raise StoreUnavailable("no node of the cluster answers")

    async def aclose(self) -> None:
        """Close all lanes."""
        tasks = [*self._closing, *([self._looking] if self._looking else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(lane.aclose() for lane in self._lanes.values()))

    async def _ask(self, address: Address) -> Ranges:
        """What this node says of who owns what; nothing if it does not answer."""
        try:
            async with asyncio.timeout(_LOOK_TIMEOUT_S):
                return address, await self._lane(address).call(("CLUSTER SLOTS",), {})
        except (StoreUnavailable, RedisError, TimeoutError):
            return address, ()

    def _address_of(self, arguments: Arguments) -> Address:
        key = _key_of(arguments)
        if key is None:
            return next((address for address in self._owners if address), next(iter(self._seeds)))
        slot: int = key_slot(key.encode())
        address = self._owners[slot]
        if address is None:
            self._look_soon()
            raise StoreUnavailable("no node of the cluster has this key")
        return address

    def _lane(self, address: Address) -> Lane:
        lane = self._lanes.get(address)
        if lane is None:
            lane = self._lanes[address] = self._make_lane(address, lambda: self._note_fault(address))
        return lane

    def _note_fault(self, address: Address) -> None:
        self._faulty.add(address)
        self._look_soon()

    def _look_soon(self) -> None:
        """Look in the background, for no caller has the time; one look at a time, with a pause after it."""
        if self._looking is None or self._looking.done():
            self._looking = in_background(self._look_and_pause())

    async def _look_and_pause(self) -> None:
        try:
            await self.look()
        except StoreUnavailable as fault:
            log.warning("%s", fault)
        await asyncio.sleep(_PAUSE_BETWEEN_LOOKS_S)

    def _learn(self, asked: Address, ranges: Sequence[Any]) -> None:
        owners: list[Address | None] = [None] * SLOTS
        known: dict[Address, None] = {}
        for first, last, *nodes in ranges:  # the primary, then its replicas: each host, port and more
            # A node that does not know its own name means the one by which it was asked.
            addresses = [(str(host or asked[0]), int(port)) for host, port, *_ in nodes]
            known.update(dict.fromkeys(addresses))
            owners[int(first) : int(last) + 1] = [addresses[0]] * (int(last) + 1 - int(first))
        self._owners, self._known, self._faulty = owners, list(known), set()
        for address in self._lanes.keys() - known.keys() - self._seeds.keys() - {asked}:
            task = in_background(self._lanes.pop(address).aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)


def _key_of(arguments: Arguments) -> str | None:
    command = arguments[0]
    if command in ("EVALSHA", "EVAL"):
        return str(arguments[3]) if int(arguments[2]) else None
    return None if command in _KEYLESS or len(arguments) < 2 else str(arguments[1])


def _target(redirection: Any, current: Address) -> Address:
    return (str(redirection.host or current[0]), int(redirection.port))
