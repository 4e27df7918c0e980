"""How a provider is reached, and what comes of it where it is not, is the same on both engines: names without a host,
closed doors, certificates, proxies, and clients that go before there is a connection."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.authority import Authority
from tests.e2e.gateways import MASTER_KEY, Gateway
from tests.e2e.raw_answers import proper
from tests.e2e.raw_provider import raw_provider
from tests.e2e.relay import relay
from tests.e2e.test_who_is_to_blame import Caller

ENGINES = ("direct", "litellm")
ANSWERED, UNREACHED = 200, 503
# What becomes of a request to each place.
PLACES = {
    "a plain host": ANSWERED,
    "an authority that is known": ANSWERED,
    "behind a tunnel": ANSWERED,
    "an authority that is not known": UNREACHED,
    "a certificate for another name": UNREACHED,
    "a proxy that refuses": UNREACHED,
    "a name without a host": UNREACHED,
    "a closed door": UNREACHED,
}
HANGING = "a door that nobody opens"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("connections")
    with ExitStack() as stack:
        plain = stack.enter_context(raw_provider(proper)).url
        trusted, nobodys = (Authority(tmp_path_factory.mktemp("authority")) for _ in range(2))
        known = _with_certificate(stack, trusted.issue(folder / "known", ("provider.invalid",)))
        unknown = _with_certificate(stack, nobodys.issue(folder / "unknown"))
        other = _with_certificate(stack, trusted.issue(folder / "other", ("x.invalid",)))
        urls = {
            "a plain host": plain,
            "an authority that is known": "https://provider.invalid",
            "behind a tunnel": "https://provider.invalid:8443",
            "an authority that is not known": unknown.replace("127.0.0.1", "localhost"),
            "a certificate for another name": other.replace("127.0.0.1", "localhost"),
            "a proxy that refuses": "https://forbidden.invalid",
            "a name without a host": "http://nowhere.invalid",
            "a closed door": "http://127.0.0.1:1",
            HANGING: _hanging(stack),
        }
        gateway = Gateway(
            folder,
            plain,
            models=[_model(engine, place, url) for engine in ENGINES for place, url in urls.items()],
            section={"retries": {"same_model": 0}, "engine": "auto"},
            extra={
                "SSL_CERT_FILE": str(trusted.file),
                "HTTPS_PROXY": stack.enter_context(relay(urlsplit(known).port or 0)),
                "NO_PROXY": "127.0.0.1,localhost,nowhere.invalid",
            },
        ).start()
        stack.callback(gateway.stop)
        yield gateway


def _with_certificate(stack: ExitStack, files: tuple[Path, Path]) -> str:
    """The URL of a provider that speaks TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*files)
    return stack.enter_context(raw_provider(proper, partial(context.wrap_socket, server_side=True))).url


def _hanging(stack: ExitStack) -> str:
    """The URL of a port at which connections wait for ever, as others wait before them."""
    listening = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(2):
        waiting = stack.enter_context(socket.socket())
        waiting.setblocking(False)
        waiting.connect_ex(listening.getsockname())
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


def _model(engine: str, place: str, url: str) -> dict[str, Any]:
    return {
        "model_name": f"{engine}-{place}",
        "litellm_params": {"model": "openai/raw", "api_base": f"{url}/v1", "api_key": "none"},
        "model_info": {"engine": engine, "input_cost_per_token": 1e-6, "output_cost_per_token": 1e-6},
    }


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


def _in_flight(http: httpx.Client, caller: Caller) -> int:
    found: int = http.get("/user/info", params={"user_id": caller.name}).json()["usage"]["in_flight_requests"]
    return found


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("place", PLACES)
def test_who_is_reached_answers_and_who_is_not_costs_nothing(
    http: httpx.Client, place: str, engine: str, stream: bool
) -> None:
    caller = Caller(http)
    answer = caller.ask(f"{engine}-{place}", stream=stream)
    assert answer.status_code == PLACES[place], answer.text
    if PLACES[place] == UNREACHED:
        error = answer.json()["error"]
        assert (error["code"], error["scalix"]["category"]) == ("provider_unavailable", "network")
    assert caller.used() == ((1, 12) if PLACES[place] == ANSWERED else (0, 0))
    assert _in_flight(http, caller) == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("after_s", [0.0, 0.3], ids=["at once", "while it is connected"])
def test_a_client_that_goes_before_its_stream_has_a_connection_holds_no_place(
    gateway: Gateway, http: httpx.Client, engine: str, after_s: float
) -> None:
    caller = Caller(http)
    body = {"model": f"{engine}-{HANGING}", "user": caller.name, "messages": [{"role": "user", "content": "hi"}]}
    raw = json.dumps({**body, "stream": True}).encode()
    url = urlsplit(gateway.url)
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {MASTER_KEY}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(raw)}\r\n\r\n"
    with socket.create_connection((url.hostname or "", url.port or 0)) as connection:
        connection.sendall(head.encode() + raw)
        if after_s:
            deadline = time.monotonic() + 10
            while not _in_flight(http, caller):
                assert time.monotonic() < deadline
                time.sleep(0.01)
    deadline = time.monotonic() + 10
    while _in_flight(http, caller):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert caller.used()[0] <= 1
