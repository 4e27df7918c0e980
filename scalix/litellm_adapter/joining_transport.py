"""A transport under LiteLLM's HTTP clients that joins stream deltas which are waiting already."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator

import httpx
import orjson

from scalix.domain.requests.stream_events import EventSplitter
from scalix.domain.requests.stream_joining import Joiner
from scalix.litellm_adapter.pressure import Pressure

# So many events in one read mean that they have been waiting for us.
_WAITING_EVENTS = 4
# A read of this size was cut off by LiteLLM's transport: more is there.
FULL_READ_BYTES = 16 * 1024
JOINED_PATHS = ("/chat/completions", "/completions")
_DONE = b"[DONE]"


class JoiningTransport(httpx.AsyncBaseTransport):
    """Passes everything through to `inner`; only OpenAI-format event streams are read event by event."""

    def __init__(self, inner: httpx.AsyncBaseTransport, pressure: Pressure) -> None:
        self._inner = inner
        self._pressure = pressure

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if _is_joinable(request, response) and isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _JoinedStream(response.stream, self._pressure)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


def _is_joinable(request: httpx.Request, response: httpx.Response) -> bool:
    return (
        response.headers.get("content-type", "").startswith("text/event-stream")
        and response.headers.get("content-encoding", "identity") == "identity"
        and request.url.path.endswith(JOINED_PATHS)
    )


class _JoinedStream(httpx.AsyncByteStream):
    """Reads only when what was read has been taken, so a slow client slows its provider, and nothing else."""

    def __init__(self, inner: httpx.AsyncByteStream, pressure: Pressure) -> None:
        self._inner = inner
        self._pressure = pressure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        splitter, joiner, pressure = EventSplitter(), Joiner(orjson.loads, orjson.dumps), self._pressure
        pieces = aiter(self._inner)
        has_begun = False
        pressure.opened()
        try:
            async for piece in pieces:
                events = splitter.feed(piece)
                if not events:
                    continue
                window_s = pressure.window_s()
                if len(events) >= _WAITING_EVENTS or (window_s and len(events) > 1):
                    events = joiner.join(events)
                passed_on_s = time.monotonic()
                yield events[0] if len(events) == 1 else b"".join(events)
                # Not reading is what collects: the next read takes all that has come by then. The first event says
                # little and the second is the first text, so neither waits; nor does the end.
                if window_s and has_begun and len(piece) < FULL_READ_BYTES and _DONE not in events[-1]:
                    await asyncio.sleep(max(0.0, window_s - (time.monotonic() - passed_on_s)))
                has_begun = True
            if rest := splitter.rest():
                yield rest
        finally:
            pressure.closed()
            # A generator that is left halfway would hold the provider's connection until it is collected.
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()

    async def aclose(self) -> None:
        await self._inner.aclose()
