"""Stock LiteLLM with the callbacks alone: whatever a client sends, whenever it goes, it ends and is charged."""

import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import JWT_SECRET, SECRET_ISSUER
from tests.e2e.plain_gateway import DEAR, MODEL, QUIET, PlainGateway, plain_gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole
from tests.e2e.test_late_usage import CHAT, USAGE
from tests.e2e.test_who_is_to_blame import proper
from tests.service.token_issuer import TokenIssuer

_STREAM = (("content-type", "text/event-stream"),)
BODY = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(proper) as made:
        yield made


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[PlainGateway]:
    with plain_gateway(tmp_path_factory.mktemp("plain"), provider.url) as gateway:
        yield gateway


@pytest.fixture
def http(plain: PlainGateway, provider: Provider) -> Iterator[httpx.Client]:
    provider.answer = proper
    with plain.client() as client:
        yield client


def ask(http: httpx.Client, user: str, **more: Any) -> httpx.Response:
    return http.post("/v1/chat/completions", json={**BODY, "user": user, **more})


def wait_until_charged(plain: PlainGateway, user: str) -> list[str]:
    """The words of the user's one entry in the ledger: outcome, requests, tokens, cost, whether estimated, and more."""
    deadline = time.monotonic() + 20
    while plain.in_flight(user) or not plain.charged(user):
        assert time.monotonic() < deadline, (plain.in_flight(user), plain.charged(user))
        time.sleep(0.05)
    (entry,) = plain.charged(user)
    return entry.split()


@pytest.mark.parametrize("model", [MODEL, QUIET])
def test_an_answer_is_charged_as_the_provider_states_it_also_of_a_model_that_is_not_logged(
    plain: PlainGateway, http: httpx.Client, model: str
) -> None:
    assert ask(http, f"usual-{model}", model=model).status_code == 200
    assert wait_until_charged(plain, f"usual-{model}")[:3] == ["success", "1", "12"]


@pytest.mark.parametrize(
    "field",
    [
        {"no-log": True},
        {"mock_response": "free"},
        {"fallbacks": ["gpt-4"]},
        {"litellm_metadata": {"tags": ["x"]}},
        {"num_retries": 9},
        {"stream_options": {"include_usage": True, "no-log": True}},
        {"tools": [{"type": "function", "function": {"name": "f"}, "api_base": "http://127.0.0.1:1"}]},
        {"extra_body": {"model": "other"}},
    ],
    ids=lambda field: next(iter(field)),
)
def test_what_steers_litellm_is_refused_without_the_edge_too_and_leaves_nothing_in_flight(
    plain: PlainGateway, http: httpx.Client, provider: Provider, field: dict[str, Any]
) -> None:
    asked = len(provider.asked)
    answer = ask(http, "steering", **field)
    assert answer.status_code == 400, answer.text
    assert next(iter(field)) in answer.text
    assert len(provider.asked) == asked
    assert not plain.in_flight("steering")
    assert not plain.charged("steering")


@pytest.mark.parametrize(
    ("model", "status", "error"),
    [
        (MODEL, 500, {"message": "out of order"}),  # fallbacks, and default_fallbacks
        (MODEL, 400, {"message": "maximum context length is 10 tokens", "code": "context_length_exceeded"}),
        (MODEL, 400, {"message": "content_policy_violation", "code": "content_policy_violation"}),
        (QUIET, 500, {"message": "out of order"}),  # those of a deployment
    ],
)
def test_litellms_own_fallbacks_serve_no_model_that_the_caller_may_not_use(
    plain: PlainGateway, http: httpx.Client, provider: Provider, model: str, status: int, error: dict[str, Any]
) -> None:
    assert ask(http, "poor", model=DEAR).status_code == 403
    provider.answer = lambda path, body: (
        proper(path, body) if body["model"] == DEAR else whole({"error": error}, status)
    )
    asked = len(provider.asked)
    answer = ask(http, "poor", model=model)
    assert answer.status_code >= 400, answer.text
    assert [body["model"] for _, body in provider.asked[asked:]] == ["plain" if model == MODEL else "q"]


def test_the_start_says_what_is_not_done_without_the_edge(plain: PlainGateway) -> None:
    text = plain.log.read_text(encoding="utf-8", errors="replace")
    for words in (
        "plain mode",
        "scalix.engine",
        "fallbacks",
        "x-scalix-dropped",
        "model_group_alias",
        "no traces",
        "SCALIX_TLS",
    ):
        assert words in text


def test_there_are_no_pages_without_the_edge(plain: PlainGateway, http: httpx.Client) -> None:
    assert "no pages" in plain.log.read_text(encoding="utf-8", errors="replace")
    for path in ("/ui/sign-in", "/ui/users", "/me", "/me/sign-in"):  # what LiteLLM has at /ui is its own
        answer = http.get(path)
        assert answer.status_code != 200, path
        assert "Scalix gateway" not in answer.text


def test_a_header_that_steers_litellm_is_dropped_without_the_edge_too(plain: PlainGateway, http: httpx.Client) -> None:
    http.headers["x-litellm-timeout"] = "0.0001"
    assert ask(http, "header").status_code == 200


def test_a_stream_whose_client_goes_before_it_begins_is_settled_without_the_edge_too(
    plain: PlainGateway, http: httpx.Client, provider: Provider
) -> None:
    # Given a client that goes while its provider thinks, which begins only when the gateway has had time to see that
    provider.answer = lambda path, body: Answer(200, (*CHAT[0], *CHAT[1]), _STREAM)
    assert ask(http, "warm", stream=True).status_code == 200
    gone = threading.Event()

    def slow(path: str, body: dict[str, Any]) -> Answer:
        def pieces() -> Iterator[bytes]:
            gone.wait(10)
            for _ in range(200):
                time.sleep(0.05)
                yield b": wait\n\n"  # a comment, which begins nothing, until the gateway has hung up
            yield from CHAT[0]

        return Answer(200, pieces(), (("content-type", "text/event-stream"),))

    provider.answer = slow
    with pytest.raises(httpx.ReadTimeout):
        http.post("/v1/chat/completions", json={**BODY, "user": "gone", "stream": True}, timeout=1.0)
    gone.set()
    # Then nothing stays in flight, though LiteLLM has nothing to report: its prompt is charged, as an estimate
    outcome, requests, tokens, _, estimated = wait_until_charged(plain, "gone")[:5]
    assert (outcome, requests, estimated) == ("client_left", "1", "1")
    assert int(tokens) > 0


def test_what_the_provider_refuses_is_a_request_without_the_edge_too(
    plain: PlainGateway, http: httpx.Client, provider: Provider
) -> None:
    provider.answer = lambda path, body: whole({"error": {"message": "temperature is too high"}}, 400)
    assert ask(http, "refused", temperature=1.5).status_code == 400
    assert wait_until_charged(plain, "refused")[:3] == ["provider_refused", "1", "0"]


@pytest.mark.parametrize(
    ("ended", "charged"),
    [
        # what LiteLLM can't translate, after it has been generated
        (lambda path, body: whole({"choices": [{"index": 0, "message": "x"}], "usage": USAGE}), 20_070),
        # an error in the middle of a stream
        (lambda path, body: Answer(200, (CHAT[0][0], b'data: {"error": {"message": "x"}}\n\n'), _STREAM), None),
    ],
    ids=["an answer", "a stream"],
)
def test_what_fails_after_the_provider_has_answered_is_charged_without_the_edge_too(
    plain: PlainGateway, http: httpx.Client, provider: Provider, ended: Any, charged: int | None
) -> None:
    provider.answer = ended
    user = f"failed-{charged}"
    answer = ask(http, user, stream=charged is None)
    assert "hello" in answer.text if charged is None else answer.status_code >= 400
    outcome, requests, tokens = wait_until_charged(plain, user)[:3]
    assert (outcome, requests) == ("provider_broke", "1")
    assert int(tokens) > 0 if charged is None else int(tokens) == charged


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health"),
        ("GET", "/health?model=free-plain"),
        ("POST", "/health/test_connection"),
        ("POST", "/openai/deployments/free-plain/chat/completions"),
        ("POST", "/engines/free-plain/chat/completions"),
        ("POST", "/v1/chat/completions?model=free-quiet"),
        ("POST", "/v1/chat/completions?api-version=1"),
        ("POST", "/openai/v1/chat/completions"),
        ("POST", "/v1/embeddings"),
        ("POST", "/v1/responses"),
        ("POST", "/v1/messages/count_tokens"),
        ("POST", "/v1/responses/input_tokens"),
        ("GET", "/model/info"),
        ("GET", "/v1/model/info"),
        ("GET", "/model_group/info"),
    ],
)
def test_a_user_can_have_nothing_else_asked_of_a_provider_without_the_edge(
    plain: PlainGateway, provider: Provider, method: str, path: str
) -> None:
    provider.answer = proper
    token = TokenIssuer(SECRET_ISSUER, secret=JWT_SECRET, now_s=int(time.time()), claims={"sub": "curious"}).token()
    with plain.client(token) as http:
        assert http.post("/v1/chat/completions", json=BODY).status_code == 200
        asked = len(provider.asked)
        body = BODY if method == "POST" else None
        answer = http.request(method, path, json=body)
    assert answer.status_code in (400, 404), answer.text
    assert len(provider.asked) == asked
