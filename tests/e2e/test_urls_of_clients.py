"""What a client names by URL, in a running gateway with LiteLLM in it: nobody waits for whoever answers there, and no
object of the operator's is read.

The gateway reaches the network by a proxy that takes connections and says nothing until it is told to.
"""

import secrets
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Provider, scripted
from tests.e2e.test_who_is_to_blame import CLAUDE, GEMINI, MODELS, OPENAI, proper

EMBED, EMBED_OBJECTS = "embed-texts", "embed-objects"
EMBEDDERS = [
    {
        "model_name": name,
        "litellm_params": {"model": model, "api_key": "${TEST_PROVIDER_KEY}", **more},
        "model_info": {"mode": "embedding", "input_cost_per_token": 1e-6, "output_cost_per_token": 0},
    }
    for name, model, more in (
        (EMBED, "openai/scripted", {"api_base": "${TEST_PROVIDER_ROOT}/v1"}),
        (EMBED_OBJECTS, "gemini/gemini-embedding-2-preview", {"api_base": "${TEST_PROVIDER_ROOT}"}),
    )
]
LONGEST_PAUSE_S = 2.0  # of a busy machine; the proxy says nothing for longer
CALL = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@dataclass
class SilentProxy:
    """`asked` are the requests that came to it."""

    port: int
    asked: list[bytes] = field(default_factory=list)
    may_answer: threading.Event = field(default_factory=threading.Event)


@contextmanager
def silent_proxy() -> Iterator[SilentProxy]:
    listening = socket.create_server(("127.0.0.1", 0))
    proxy = SilentProxy(listening.getsockname()[1])

    def serve(connection: socket.socket) -> None:
        with connection:
            proxy.asked.append(connection.recv(65_536))
            proxy.may_answer.wait(30)
            connection.sendall(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield proxy
    finally:
        proxy.may_answer.set()
        listening.close()


@pytest.fixture(scope="module")
def proxy() -> Iterator[SilentProxy]:
    with silent_proxy() as made:
        yield made


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(proper) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider, proxy: SilentProxy) -> Iterator[Gateway]:
    address = f"http://127.0.0.1:{proxy.port}"
    environment = {"HTTP_PROXY": address, "HTTPS_PROXY": address, "NO_PROXY": "127.0.0.1,localhost"}
    made = Gateway(tmp_path_factory.mktemp("urls"), provider.url, models=[*MODELS, *EMBEDDERS], extra=environment)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def key(gateway: Gateway) -> Iterator[Any]:
    with gateway.client() as http:

        def make(tier: str) -> str:
            user = f"user-{secrets.token_hex(6)}"
            assert http.post("/user/new", json={"user_id": user, "tier": tier}).status_code == 200
            return str(http.post("/key/generate", json={"user_id": user}).json()["key"])

        yield make


def image_of_an_assistant(url: str) -> list[dict[str, Any]]:
    made = {"role": "assistant", "content": "there", "images": [{"image_url": {"url": url}}]}
    return [{"role": "user", "content": "paint"}, made, {"role": "user", "content": "again"}]


def in_a_tools_result(url: str) -> list[dict[str, Any]]:
    result = {"role": "tool", "tool_call_id": "c", "content": [{"type": "input_image", "image_url": url}]}
    return [{"role": "user", "content": "look"}, {"role": "assistant", "content": None, "tool_calls": [CALL]}, result]


def as_data_of_a_file(url: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "file", "file": {"file_data": url}}]}]


@pytest.mark.parametrize(
    ("model", "messages", "field"),
    [
        (GEMINI, image_of_an_assistant, "messages[1].images[0].image_url.url"),
        (GEMINI, in_a_tools_result, "messages[2].content[0].image_url"),
        (GEMINI, as_data_of_a_file, "messages[0].content[0].file.file_data"),
        (CLAUDE, as_data_of_a_file, "messages[0].content[0].file.file_data"),
    ],
)
def test_nobody_waits_for_the_server_behind_a_clients_url(
    gateway: Gateway, proxy: SilentProxy, provider: Provider, key: Any, model: str, messages: Any, field: str
) -> None:
    url = f"http://93.184.216.34/{secrets.token_hex(6)}"
    before = len(provider.asked), len(proxy.asked)
    began_s = time.monotonic()
    with gateway.client(key("premium")) as http:
        answer = http.post("/v1/chat/completions", json={"model": model, "messages": messages(url)})
    assert time.monotonic() - began_s < LONGEST_PAUSE_S
    assert answer.status_code == 400, answer.text
    assert answer.json()["error"]["param"] == field
    assert "the data itself" in answer.json()["error"]["message"]
    assert (len(provider.asked), len(proxy.asked)) == before


def test_who_is_waited_for_keeps_only_their_own_request_waiting(gateway: Gateway, proxy: SilentProxy, key: Any) -> None:
    part = {"type": "image_url", "image_url": {"url": f"http://93.184.216.34/{secrets.token_hex(6)}.png"}}
    body = {"model": GEMINI, "messages": [{"role": "user", "content": [part]}]}
    waiting = key("premium")
    answers: list[httpx.Response] = []

    def ask() -> None:
        with gateway.client(waiting) as http:
            answers.append(http.post("/v1/chat/completions", json=body))

    before = len(proxy.asked)
    thread = threading.Thread(target=ask)
    thread.start()
    try:
        deadline_s = time.monotonic() + 20
        while len(proxy.asked) == before and time.monotonic() < deadline_s:
            time.sleep(0.01)
        assert len(proxy.asked) > before, "the image was never asked for"
        began_s = time.monotonic()
        with gateway.client(key("roomy")) as http:
            other = http.post(
                "/v1/chat/completions", json={"model": OPENAI, "messages": [{"role": "user", "content": "x"}]}
            )
        assert other.status_code == 200
        assert time.monotonic() - began_s < LONGEST_PAUSE_S
    finally:
        proxy.may_answer.set()
        thread.join(30)
        proxy.may_answer.clear()
    assert answers[0].status_code == 400


def test_what_an_assistant_has_made_is_media_and_limits_count_it(gateway: Gateway, key: Any) -> None:
    with gateway.client(key("roomy")) as http:
        messages = image_of_an_assistant("https://example.com/a.png")
        answer = http.post("/v1/chat/completions", json={"model": OPENAI, "messages": messages})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "messages[1].images[0].image_url.url"


FILE = "https://generativelanguage.googleapis.com/v1beta/files/abc"


@pytest.mark.parametrize(
    ("texts", "field"),
    [
        ("files/abc", "input"),
        ("files/../cachedContents/abc", "input"),
        (FILE, "input"),
        ("gs://bucket/a.png", "input"),
        ("\ufeff\n GS://bucket/a.png", "input"),
        (["hello", "s3://bucket/a.png"], "input[1]"),
        ([["hello", "gs://bucket/a.png"]], "input[0][1]"),
        ([[{"type": "file", "file": {"file_id": "files/abc"}}]], "input[0][0].file.file_id"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_no_object_of_the_operators_is_embedded(
    gateway: Gateway, proxy: SilentProxy, provider: Provider, key: Any, texts: Any, field: str
) -> None:
    before = len(provider.asked), len(proxy.asked)
    user = key("all-models")
    with gateway.client(user) as http:
        answer = http.post("/v1/embeddings", json={"model": EMBED_OBJECTS, "input": texts}, timeout=5)
        left = int(
            http.post("/v1/embeddings", json={"model": EMBED, "input": "x"}).headers["x-ratelimit-remaining-requests"]
        )
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, field), answer.text
    assert left == 999_999, "the refused one was counted"
    assert (len(provider.asked) - 1, len(proxy.asked)) == before


def test_a_text_that_looks_like_an_objects_address_is_embedded_by_who_embeds_texts(
    gateway: Gateway, provider: Provider, key: Any
) -> None:
    texts = ["files/index.ts", "gs://bucket/a.png"]
    with gateway.client(key("all-models")) as http:
        assert http.post("/v1/embeddings", json={"model": EMBED, "input": texts}).status_code == 200
    assert provider.asked[-1][1]["input"] == texts
