"""That what deployments are said to have in flight ends at 0, whatever clients, providers and workers do."""

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis

from tests.e2e.gateways import Gateway
from tests.e2e.many_gateways import MODELS, WEIGHTS, Script, make_users, three
from tests.e2e.scripted_provider import Answer, scripted, whole
from tests.store.servers import wait_for

pytestmark = [pytest.mark.soak, pytest.mark.timeout(1_800)]


class Turmoil:
    """Clients that leave at any time, providers that fail, prompts that are cached, and workers that are killed."""

    def __init__(self, script: Script, gateways: list[Gateway]) -> None:
        self.ended = threading.Event()
        self.statuses: Counter[Any] = Counter()
        self.kills = 0
        self._gateways = gateways
        self._random = random.Random(5)
        script.by_place = dict.fromkeys(WEIGHTS, self._answer)

    def _answer(self, body: dict[str, Any]) -> Answer:
        drawn = self._random.random()
        if drawn < 0.02:
            return whole({"error": {"message": "overloaded", "type": "server_error"}}, 500)
        time.sleep(self._random.choice((0, 0, 0.01, 0.3)))
        if not body.get("stream"):
            usage: dict[str, Any] = {"prompt_tokens": 2_000, "completion_tokens": 5, "total_tokens": 2_005}
            choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
            usage["prompt_tokens_details"] = {"cached_tokens": 1_920}
            return whole({"id": "c", "object": "chat.completion", "model": "m", "choices": [choice], "usage": usage})
        return Answer(pieces=self._stream(breaks=drawn < 0.05), headers=(("content-type", "text/event-stream"),))

    def _stream(self, *, breaks: bool) -> Iterator[bytes]:
        for number in range(8):
            chunk: dict[str, Any] = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}
            choice: dict[str, Any] = {
                "index": 0,
                "delta": {"content": "hi "},
                "finish_reason": "stop" if number == 7 else None,
            }
            yield b"data: %s\n\n" % json.dumps({**chunk, "choices": [choice]}).encode()
            if breaks and number == 3:
                return
            time.sleep(0.02)
        yield b"data: [DONE]\n\n"

    def ask(self, number: int) -> None:
        """Ask again and again, and leave some answers at some point."""
        mine = random.Random(number)
        while not self.ended.is_set():
            gateway = self._gateways[mine.randrange(len(self._gateways))]
            body: dict[str, Any] = {
                "model": mine.choice(MODELS),
                "messages": [{"role": "user", "content": "hi " * 2_000}],
            }
            body |= {"max_tokens": 50, "stream": mine.random() < 0.6, "user": f"u{number % 16}"}
            patience_s = mine.choice((0.005, 0.05, 0.1, 10, 10))
            try:
                with (
                    gateway.client() as http,
                    http.stream("POST", "/v1/chat/completions", json=body, timeout=patience_s) as answer,
                ):
                    self.statuses[answer.status_code] += 1
                    for _ in answer.iter_raw():
                        if mine.random() < 0.1:
                            self.statuses["left"] += 1
                            break
            except httpx.HTTPError as error:
                self.statuses[type(error).__name__] += 1

    def kill_workers(self, every_s: float) -> None:
        while not self.ended.wait(every_s):
            workers = self._gateways[self._random.randrange(len(self._gateways))].workers()
            if workers:
                with suppress(psutil.NoSuchProcess):
                    self._random.choice(workers).kill()
                    self.kills += 1


def in_flight(store: redis.Redis) -> Counter[str]:
    """What living workers say they have in flight, by deployment."""
    found: Counter[str] = Counter()
    for key in store.scan_iter("*loads*"):
        for text in store.hgetall(key).values():
            _, figures = json.loads(text)
            found.update({name: number for name, number in figures.items() if name.startswith("f ")})
    return found


@pytest.mark.parametrize("minutes", [1, 10])
def test_after_cancels_failures_kills_and_cache_hits_nothing_is_in_flight(minutes: int, tmp_path: Path) -> None:
    script = Script()
    with scripted(script.answer) as provider, three(tmp_path, provider, "least-busy") as gateways:
        store = redis.Redis.from_url(gateways[0].extra["REDIS_URL"], decode_responses=True)
        make_users(gateways, [f"u{number}" for number in range(16)])
        turmoil = Turmoil(script, gateways)
        most: Counter[str] = Counter()
        with ThreadPoolExecutor(17) as pool:
            for number in range(16):
                pool.submit(turmoil.ask, number)
            pool.submit(turmoil.kill_workers, 15.0)
            ends_s = time.monotonic() + 60 * minutes
            while time.monotonic() < ends_s:
                most |= in_flight(store)
                time.sleep(0.2)
            turmoil.ended.set()
        # Who has just left is waited for a little, and who was killed holds on for a lease.
        wait_for(lambda: not +in_flight(store), "all counts to be 0", timeout_s=30)
        time.sleep(1.0)
        last = in_flight(store)
        store.close()
    print(f"{minutes} min: {turmoil.statuses}, {turmoil.kills} kills, at most {most}; at last {last}")
    assert not +last
    assert not -last, "below 0"
    assert all(most[f"f {name}#{place}"] > 0 for name in MODELS for place in (1, 2, 3)), most
    assert turmoil.kills >= 3 * minutes
    assert turmoil.statuses["left"] > 50 * minutes
