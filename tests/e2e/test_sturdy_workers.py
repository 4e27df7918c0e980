"""A worker that is told to stop, or killed, while it asks providers directly: what it has is finished, or swept."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from socket import socket

import httpx
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.raw_answers import EVENTS, WHOLE, kind
from tests.e2e.raw_provider import Asked, RawProvider, chunked, head, raw_provider
from tests.e2e.test_sturdy_answers import models
from tests.e2e.test_who_is_to_blame import Caller

MODEL = "direct-raw"


class Pausing:
    """Answers whose second half waits until it `may_go_on`."""

    def __init__(self) -> None:
        self.may_go_on = threading.Event()

    def __call__(self, connection: socket, asked: Asked) -> None:
        connection.sendall(head("200 OK", kind(asked), "transfer-encoding: chunked"))
        first, rest = (EVENTS[:1], EVENTS[1:]) if asked.body.get("stream") else ((WHOLE[:9],), (WHOLE[9:],))
        connection.sendall(chunked(*first))
        self.may_go_on.wait(60)
        connection.sendall(chunked(*rest) + b"0\r\n\r\n")


@pytest.fixture
def paused() -> Iterator[tuple[RawProvider, Pausing]]:
    pausing = Pausing()
    with raw_provider(pausing) as provider:
        yield provider, pausing
        pausing.may_go_on.set()


def _ask(gateway: Gateway, user: str, stream: bool) -> httpx.Response | None:
    body = {"model": MODEL, "user": user, "messages": [{"role": "user", "content": "hi"}], "stream": stream}
    with gateway.client() as http, suppress(httpx.TransportError):
        return http.post("/v1/chat/completions", json=body)
    return None


def _wait(provider: RawProvider, times: int) -> None:
    deadline = time.monotonic() + 30
    while len(provider.asked) < times:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _wait_until_closed(gateway: Gateway) -> None:
    deadline = time.monotonic() + 20
    with suppress(httpx.ConnectError):
        while True:
            assert time.monotonic() < deadline
            httpx.get(f"{gateway.url}/health/liveliness", trust_env=False)
            time.sleep(0.02)


def test_a_worker_that_is_told_to_stop_finishes_what_it_has_asked(
    tmp_path_factory: pytest.TempPathFactory, paused: tuple[RawProvider, Pausing]
) -> None:
    provider, pausing = paused
    gateway = Gateway(tmp_path_factory.mktemp("drain"), provider.url, models=models(provider.url), section=_AUTO)
    gateway.start()
    try:
        with gateway.client() as http:
            user = Caller(http).name
        launcher = gateway.launcher()
        with ThreadPoolExecutor(4) as pool:
            asked = [pool.submit(_ask, gateway, user, stream) for stream in (False, True) * 2]
            _wait(provider, 4)
            launcher.send_signal(signal.SIGTERM)
            _wait_until_closed(gateway)
            pausing.may_go_on.set()
            answers = [one.result() for one in asked]
        launcher.wait(30)
    finally:
        gateway.stop()
    assert [answer is not None and answer.status_code for answer in answers] == [200] * 4
    assert all(answer is not None and ("hello" in answer.text or "[DONE]" in answer.text) for answer in answers)


@pytest.mark.soak
@pytest.mark.timeout(240)
def test_what_a_killed_worker_had_asked_is_swept_and_charged_by_its_prompt(
    tmp_path_factory: pytest.TempPathFactory, paused: tuple[RawProvider, Pausing]
) -> None:
    provider, _ = paused
    gateway = Gateway(tmp_path_factory.mktemp("killed"), provider.url, models=models(provider.url), section=_AUTO)
    gateway.start()
    try:
        with gateway.client() as http:
            caller = Caller(http)
            with ThreadPoolExecutor(2) as pool:
                asked = [pool.submit(_ask, gateway, caller.name, stream) for stream in (False, True)]
                _wait(provider, 2)
                os.kill(gateway.workers()[0].pid, signal.SIGKILL)
                assert [one.result() for one in asked] == [None, None]
        # The dead worker's leases lapse after a minute, and the sweep looks every 15 s.
        deadline = time.monotonic() + 100
        with gateway.client() as http:
            while (usage := _usage(http, caller.name))["in_flight_requests"]:
                assert time.monotonic() < deadline
                time.sleep(1)
        assert usage["requests_today"] == 2
        assert 0 < usage["tokens_today"] < 4096  # nothing of the answers that were reserved
        assert len(provider.asked) == 2
    finally:
        gateway.stop()


def _usage(http: httpx.Client, user: str) -> dict[str, int]:
    with suppress(httpx.TransportError):  # while the next worker starts
        found: dict[str, int] = http.get("/user/info", params={"user_id": user}).json()["usage"]
        return found
    return {"in_flight_requests": 1}


_AUTO = {"engine": "auto", "retries": {"same_model": 0}}
