"""Many requests of one user at once, over one or more gateways, and what became of each."""

import asyncio
import itertools
import json
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from tests.demo_server import DemoServer
from tests.e2e.calls import PATHS
from tests.e2e.gateways import MASTER_KEY

Answers = list[tuple[int, str]]
OK = (200, "")


@dataclass
class Crowd:
    """Requests of `user` to the gateways at `urls` in turn. `marker` is in every prompt."""

    urls: Sequence[str]
    user: str
    marker: str

    def at_once(self, count: int, directives: str, *, patience_s: float = 0.0, **body: Any) -> Answers:
        """Status and error code of each of `count` chat completions that are sent together, each by its own connection.

        For `patience_s` a request that is told to try again (`quota_reserved`, too many at once) is sent again after
        its `Retry-After`, as the OpenAI SDK would.
        """
        return asyncio.run(self._at_once(count, directives, patience_s, body))

    async def _at_once(self, count: int, directives: str, patience_s: float, more: dict[str, Any]) -> Answers:
        text = f"{self.marker} [[demo {directives}]]"
        body = {"model": "gpt-4", "user": self.user, "messages": [{"role": "user", "content": text}], **more}
        limits = httpx.Limits(max_connections=count, max_keepalive_connections=count)
        headers = {"authorization": f"Bearer {MASTER_KEY}"}
        async with httpx.AsyncClient(headers=headers, timeout=120, limits=limits, trust_env=False) as client:
            deadline = time.monotonic() + patience_s
            urls = itertools.islice(itertools.cycle(self.urls), count)
            return await asyncio.gather(*(_answered(client, url, body, deadline) for url in urls))

    def counted(self) -> tuple[int, int, int]:
        """Requests and tokens of today, and requests in flight; all gateways must say the same."""
        seen = set()
        for url in self.urls:
            answer = httpx.get(
                f"{url}/user/info",
                params={"user_id": self.user},
                headers={"authorization": f"Bearer {MASTER_KEY}"},
                trust_env=False,
            )
            usage = answer.json()["usage"]
            seen.add((usage["requests_today"], usage["tokens_today"], usage["in_flight_requests"]))
        (counted,) = seen
        return counted


async def _answered(client: httpx.AsyncClient, url: str, body: dict[str, Any], deadline: float) -> tuple[int, str]:
    while True:
        async with client.stream("POST", url + PATHS["chat"], json=body) as answer:
            raw = await answer.aread()
        if answer.status_code == 200:
            if body.get("stream"):
                assert raw.rstrip().endswith(b"data: [DONE]"), raw[-300:]
            return OK
        error = json.loads(raw)["error"]
        is_for_now = error["code"] == "quota_reserved" or error.get("scalix", {}).get("limit") == "concurrent"
        if not is_for_now or time.monotonic() > deadline:
            return answer.status_code, str(error["code"])
        await asyncio.sleep(float(answer.headers["retry-after"]))


@dataclass(frozen=True)
class Served:
    """The provider's own account of what it was asked with a text in it."""

    requests: int
    tokens: int
    most_at_once: int


def served(provider: DemoServer, marker: str) -> Served:
    """What the provider has answered, each answer whole."""
    log = provider.requests(contains=marker, settled=0, bodies=False)
    assert Counter(entry["outcome"] for entry in log) == Counter(complete=len(log))
    # At the same moment an end counts before a beginning.
    moments = sorted([(entry["time"], 1) for entry in log] + [(entry["finished"], -1) for entry in log])
    at_once = itertools.accumulate((step for _, step in moments), initial=0)
    tokens = sum(entry["prompt_tokens"] + entry["completion_tokens"] for entry in log)
    return Served(len(log), tokens, max(at_once))


def wait_out_the_turn_of_the_hour(least_s: float = 40.0) -> None:
    """Returns with at least `least_s` to go: a window that turns in the middle gives its room twice, rightly."""
    left = 3600 - time.time() % 3600
    if left < least_s:
        time.sleep(left + 0.1)
