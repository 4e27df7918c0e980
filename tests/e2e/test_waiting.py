"""A running gateway whose worker may ask one thing at a time: the others wait, and say how long."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.gateways import METRICS_TOKEN, Gateway
from tests.e2e.scripted_provider import Answer, scripted, scripted_models
from tests.e2e.test_who_is_to_blame import proper

MODELS = scripted_models(("one-at-a-time", "openai/scripted", "/v1"))
OVERLOAD = {"in_flight": 1, "queue": {"requests": 2, "wait_s": 30}}


def test_of_four_requests_at_once_one_is_served_two_wait_and_one_comes_again_later(tmp_path: Path) -> None:
    release, asked = threading.Event(), threading.Semaphore(0)

    def held(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            release.wait(60)
            yield from proper(path, body).pieces

        asked.release()
        return Answer(200, pieces())

    with scripted(held) as provider:
        gateway = Gateway(tmp_path, provider.url, section={"overload": OVERLOAD}, models=MODELS).start()
        try:
            with gateway.client() as http, ThreadPoolExecutor(4) as threads:

                def ask(number: int) -> httpx.Response:
                    body = {"model": "one-at-a-time", "messages": [{"role": "user", "content": "hi"}]}
                    answer = http.post("/v1/chat/completions", json=body)
                    if answer.status_code == 503:
                        release.set()
                    return answer

                first = threads.submit(ask, 0)
                assert asked.acquire(timeout=30)
                others = [threads.submit(ask, number) for number in range(1, 4)]
                answers = [other.result() for other in others]
                refused = [answer for answer in answers if answer.status_code != 200]
                waited = [int(answer.headers["x-scalix-queued-ms"]) for answer in answers if answer.status_code == 200]
                assert first.result().status_code == 200
                assert "x-scalix-queued-ms" not in first.result().headers
                assert (len(waited), min(waited) > 0) == (2, True)
                (last,) = refused
                assert (last.status_code, last.json()["error"]["code"]) == (503, "overloaded")
                assert (last.headers["retry-after"], len(provider.asked)) == ("2", 3)
                token = {"authorization": f"Bearer {METRICS_TOKEN}"}
                metrics = httpx.get(f"{gateway.url}/metrics", headers=token).text
                assert "scalix_queued_seconds_count " in metrics
        finally:
            release.set()
            gateway.stop()
