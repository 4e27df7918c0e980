"""Requests through the front door at a steady rate, and long streams beside them; what became of each is kept."""

import asyncio
import itertools
import json
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.e2e.gateways import MASTER_KEY


@dataclass
class Sent:
    """One request: when it was begun and ended (seconds of this machine's clock), and how. `events` are those of a
    stream; `is_whole`, that it came to its end."""

    key: str
    user: str
    begun_s: float
    ended_s: float = 0.0
    status: int = 0
    code: str = ""
    events: int = 0
    is_whole: bool = False

    @property
    def is_well(self) -> bool:
        return self.status == 200 and self.is_whole


@dataclass
class Load:
    """Requests to `url`, whose certificate is of `authority`. `marker` is in every prompt."""

    url: str
    authority: Path
    marker: str
    sent: list[Sent] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    async def run(self, *, seconds: float, streams: int, stream_s: float, rate: float, users: list[str]) -> None:
        """Send for so long: `streams` at the start, of `stream_s` seconds each, and `rate` requests a second."""
        context = ssl.create_default_context(cafile=str(self.authority))
        connector = aiohttp.TCPConnector(limit=0, ssl=context)
        headers = {"authorization": f"Bearer {MASTER_KEY}"}
        async with (
            aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(300)) as http,
            asyncio.TaskGroup() as group,
        ):
            start_s = time.monotonic()
            group.create_task(self._begin_streams(http, group, streams, stream_s, users))
            for turn in itertools.count():
                due_s = start_s + turn / rate
                if due_s > start_s + seconds:
                    break
                await asyncio.sleep(max(0.0, due_s - time.monotonic()))
                group.create_task(self._one(http, users[turn % len(users)], "words=5"))

    async def _begin_streams(
        self, http: aiohttp.ClientSession, group: asyncio.TaskGroup, streams: int, stream_s: float, users: list[str]
    ) -> None:
        for number in range(streams):
            # Not all in one moment, so that their ends are not either.
            directives = f"words={int(stream_s * 4)} gap_ms=250"
            group.create_task(self._one(http, users[number % len(users)], directives, stream=True))
            await asyncio.sleep(0.02)

    async def _one(self, http: aiohttp.ClientSession, user: str, directives: str, *, stream: bool = False) -> None:
        key = f"{self.marker}-{next(self._numbers):05d}-"
        text = f"{key} [[demo {directives}]]"
        body = {
            "model": "scalix-engine",
            "user": user,
            "stream": stream,
            "messages": [{"role": "user", "content": text}],
        }
        sent = Sent(key, user, time.monotonic())
        self.sent.append(sent)
        try:
            async with http.post(f"{self.url}/v1/chat/completions", json=body) as answer:
                sent.status = answer.status
                if stream and answer.status == 200:
                    async for line in answer.content:
                        sent.events += line.startswith(b"data: {")
                        sent.is_whole = sent.is_whole or line.startswith(b"data: [DONE]")
                else:
                    told: Any = json.loads(await answer.read())
                    sent.is_whole = True
                    sent.code = str(told["error"]["code"]) if "error" in told else ""
        except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as error:
            sent.code = type(error).__name__
        sent.ended_s = time.monotonic()

    def slowest_hundredth_s(self, first_s: float, last_s: float) -> float:
        """The 99th percentile of the short requests that were begun in this time."""
        took = sorted(
            one.ended_s - one.begun_s for one in self.sent if first_s <= one.begun_s < last_s and not one.events
        )
        return took[min(len(took) - 1, int(len(took) * 0.99))]
