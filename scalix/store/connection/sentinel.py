"""Routes to the server that Sentinel calls the master, also when that is another one than before."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import re2
from redis.exceptions import RedisError, ResponseError

from scalix.store.base import StoreUnavailable
from scalix.store.connection.background import in_background
from scalix.store.connection.lane import Arguments, Lane, Options
from scalix.store.connection.sentinel_url import Address, SentinelUrl

_PAUSE_BETWEEN_LOOKS_S = 0.2
# While all is well. A fail-over by hand leaves the old master as it is for a while, and what is written there is lost.
_LOOK_EVERY_S = 0.5
# Scripts' errors hold it somewhere in their text.
_DEMOTED = re2.compile(r"\bREADONLY\b")

LaneMaker = Callable[[str, Callable[[], None]], Lane]
"""Makes a lane of a URL of redis-py's, and of what is called when the server fails."""

log = logging.getLogger("scalix.store")


class SentinelRoutes:
    """Sends each call to the master. The Sentinels are asked all the time which one that is, and more often when it
    fails or says that it is none any more: until the server that most of them name is a master that answers."""

    def __init__(self, url: SentinelUrl, make_lane: LaneMaker) -> None:
        self._url = url
        self._make_lane = make_lane
        self._sentinels = [make_lane(url.sentinel(node), lambda: None) for node in url.nodes]
        self._address: Address | None = None
        self._lane: Lane | None = None
        self._watching: asyncio.Task[None] | None = None
        self._fault = asyncio.Event()
        self._closing: set[asyncio.Task[None]] = set()

    async def call(self, arguments: Arguments, options: Options) -> Any:
        """The master's answer. Raises StoreUnavailable, RedisError."""
        lane = self._lane
        if lane is None:
            raise StoreUnavailable("no master is known", maybe_acted=False)
        try:
            return await lane.call(arguments, options)
        except ResponseError as error:
            if not _DEMOTED.search(str(error)):
                raise
            self._fault.set()
            raise StoreUnavailable("the store's server is no master any more", maybe_acted=False) from error

    def lanes(self) -> list[Lane]:
        """The master's lane: it has all keys."""
        return [self._lane] if self._lane is not None else []

    async def look(self) -> None:
        """Find the master. Raises StoreUnavailable where the Sentinels do not answer, or name none that is one."""
        named = Counter(address for address in await asyncio.gather(*map(self._ask, self._sentinels)) if address)
        if not named:
            raise StoreUnavailable("no Sentinel answers that knows the store", maybe_acted=False)
        address = named.most_common(1)[0][0]
        if self._lane is not None and address == self._address:
            await _make_sure_of(self._lane)
            return
        lane = self._make_lane(self._url.server(address), self._fault.set)
        try:
            await _make_sure_of(lane)
        except BaseException:
            await lane.aclose()
            raise
        self._take(address, lane)

    async def aclose(self) -> None:
        """Close all connections."""
        tasks = [*self._closing, *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(lane.aclose() for lane in (*self._sentinels, *self.lanes())))

    async def _ask(self, sentinel: Lane) -> Address | None:
        """Where this one says that the master is."""
        try:
            found = await sentinel.call(("SENTINEL GET-MASTER-ADDR-BY-NAME", self._url.service), {})
        except (StoreUnavailable, RedisError):
            return None
        return (str(found[0]), int(found[1])) if found else None

    def _take(self, address: Address, lane: Lane) -> None:
        before, self._lane = self._lane, lane
        if before is not None:
            log.warning("the store's master is %s:%d now, as Sentinel says", *address)
            task = in_background(before.aclose())
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)
        self._address = address
        if self._watching is None:
            self._watching = in_background(self._watch())

    async def _watch(self) -> None:
        while True:
            self._fault.clear()
            try:
                await self.look()
                pause_s = _LOOK_EVERY_S
            except (StoreUnavailable, RedisError) as fault:
                log.debug("%s", fault)
                pause_s = _PAUSE_BETWEEN_LOOKS_S
            await asyncio.sleep(_PAUSE_BETWEEN_LOOKS_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s - _PAUSE_BETWEEN_LOOKS_S):
                    await self._fault.wait()


async def _make_sure_of(lane: Lane) -> None:
    """Raises StoreUnavailable unless its server answers and is a master."""
    try:
        role = await lane.call(("ROLE",), {})
    except ResponseError:
        return  # a user who may not ask; a replica will say so at the first write
    if str(role[0]) != "master":
        raise StoreUnavailable("the server that Sentinel names is no master", maybe_acted=False)
