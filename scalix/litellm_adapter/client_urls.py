"""What LiteLLM fetches because a client has named its URL: nobody else waits for it.

LiteLLM looks names up in asyncio's threads, which are few, and look up the providers' names too: whoever has a name
server that never answers would hold them all. And where it translates, it fetches with clients that block.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any
from weakref import WeakValueDictionary

import httpx

from scalix.litellm_adapter.seam_checks import replace
from scalix.service.exchange.exchanges import CURRENT, Exchange

LOOKUP_THREADS = 8
MOST_LOOKUPS_EACH = 2
PATIENCE_S = 5.0
_URL_UTILS = "litellm.litellm_core_utils.url_utils"
# A deployment's own, which may be fetched without a body.
_KEYS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


def bound_fetches() -> None:
    """Put our lookups and our refusals in the place of LiteLLM's own."""
    replace(f"{_URL_UTILS}:validate_url", _beside_the_loop)
    replace(f"{_URL_UTILS}:asyncio", lambda own: Lookups())


class Lookups:
    """In place of `asyncio` where LiteLLM looks up the host of a client's URL: threads for that alone, of which each
    user has two at a time."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(LOOKUP_THREADS, "lookup")
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    async def to_thread(self, look_up: Callable[[str], Any], url: str) -> Any:
        """`look_up(url)`. Raises `TimeoutError` for what takes longer than `PATIENCE_S`, its turn included."""
        exchange = CURRENT.get()
        subject = str(exchange.admission.caller.subject) if exchange is not None else ""
        turns = self._turns.setdefault(subject, asyncio.Semaphore(MOST_LOOKUPS_EACH))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE_S):
            await turns.acquire()
            job: Future[Any] = self._threads.submit(look_up, url)
            # A lookup that nobody waits for any more goes on: the turn ends with it.
            job.add_done_callback(lambda _: loop.call_soon_threadsafe(turns.release))
            return await asyncio.wrap_future(job)


def refuse_blocking_fetch(exchange: Exchange, request: httpx.Request) -> None:
    """Raise for what a client has named and LiteLLM would fetch with everybody waiting."""
    if request.method == "GET" and _is_on_the_loop() and not any(name in request.headers for name in _KEYS):
        exchange.attempt.unfetched = exchange.attempt.unfetched or str(request.url)
        raise httpx.UnsupportedProtocol("a client's URL is not fetched here", request=request)


def _beside_the_loop(own: Callable[[str], Any]) -> Callable[[str], Any]:
    """LiteLLM's lookup of a URL's host, which comes before each fetch, for threads only."""
    from litellm.litellm_core_utils.url_utils import SSRFError

    def validate_url(url: str) -> Any:
        exchange = CURRENT.get()
        if exchange is not None and _is_on_the_loop():
            exchange.attempt.unfetched = exchange.attempt.unfetched or url
            raise SSRFError("a client's URL is not fetched here")
        return own(url)

    return validate_url


def _is_on_the_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
