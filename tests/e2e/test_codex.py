"""Codex's way of asking: tools that it runs itself, no WebSockets, and servers that have no Responses API."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, scripted_models, whole
from tests.e2e.test_who_is_to_blame import Caller, proper

pytestmark = pytest.mark.xdist_group("gateway-codex")

CHAT_ONLY, CLAUDE, SECOND = "codex-chat-only", "codex-claude", "codex-second"
MODELS = scripted_models(
    (CHAT_ONLY, "openai/chat-only", "/v1"),
    (SECOND, "openai/second", "/v1"),
    (CLAUDE, "anthropic/claude-scripted", ""),
)
RESPONSES = "/v1/responses"
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}, "strict": False},
    {"type": "local_shell"},
    {"type": "custom", "name": "apply_patch", "description": "d", "format": {"type": "text"}},
    {"type": "tool_search", "execution": "client", "parameters": {"type": "object", "properties": {}}},
    {
        "type": "namespace",
        "name": "mcp__docs",
        "description": "d",
        "tools": [{"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}],
    },
]


def without_responses(path: str, body: dict[str, Any]) -> Answer:
    """A server of OpenAI's format that has no such path, as FastAPI says it."""
    return whole({"detail": "Not Found"}, 404) if path.endswith("/responses") else proper(path, body)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(proper) as made:
        yield made


@pytest.fixture(scope="module")
def coding(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    section = {"fallbacks": {CHAT_ONLY: [CLAUDE]}}
    gateway = Gateway(tmp_path_factory.mktemp("coding"), provider.url, models=MODELS, section=section).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def http(coding: Gateway) -> Iterator[httpx.Client]:
    with coding.client() as client:
        yield client


@pytest.fixture(autouse=True)
def _as_usual(provider: Provider) -> None:
    provider.answer = proper
    provider.asked.clear()


@pytest.mark.parametrize("model", [SECOND, CLAUDE])
def test_tools_that_the_client_runs_are_allowed_where_tokens_are_limited(
    http: httpx.Client, provider: Provider, model: str
) -> None:
    answer = Caller(http, "ten-thousand-tokens").ask(model, RESPONSES, tools=TOOLS)
    assert answer.status_code == 200, answer.text
    assert len(provider.asked) == 1
    refused = Caller(http, "ten-thousand-tokens").ask(model, RESPONSES, tools=[{"type": "web_search"}])
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "tools[0]")


def test_a_server_without_the_responses_api_is_asked_by_chat_completions_at_once_and_from_then_on(
    http: httpx.Client, coding: Gateway, provider: Provider
) -> None:
    provider.answer = without_responses
    caller = Caller(http)
    first = caller.ask(CHAT_ONLY, RESPONSES)
    assert first.status_code == 200, first.text
    assert first.json()["output"][-1]["content"][0]["text"] == "hello"
    assert first.headers["x-scalix-model-served"] == CHAT_ONLY
    assert [path for path, _ in provider.asked] == ["/v1/responses", "/v1/chat/completions"]
    assert caller.used() == (1, 12)

    key = http.post("/key/generate", json={"user_id": caller.name}).json()["key"]
    client = openai.OpenAI(base_url=f"{coding.url}/v1", api_key=key, max_retries=0)
    second = client.responses.create(model=CHAT_ONLY, input="hi", extra_body={"tools": TOOLS})
    assert second.output_text == "hello"
    assert [path for path, _ in provider.asked[2:]] == ["/v1/chat/completions"]
    assert caller.used() == (2, 24)

    provider.answer = lambda path, body: whole({"detail": "Not Found"}, 404)
    gone = caller.ask(CHAT_ONLY, RESPONSES)
    assert gone.status_code in (200, 503)  # the fallback's, or nobody's: it is not remembered any more
    provider.answer, before = proper, len(provider.asked)
    caller.ask(CHAT_ONLY, RESPONSES)
    assert [path for path, _ in provider.asked[before:]] == ["/v1/responses"]


def test_a_404_of_an_item_of_ones_own_changes_nothing_for_others(http: httpx.Client, provider: Provider) -> None:
    caller = Caller(http)
    item = caller.ask(SECOND, RESPONSES).json()["output"][0]
    missing = {"error": {"message": "Item with id 'msg_1' not found.", "type": "invalid_request_error", "code": None}}
    provider.answer = lambda path, body: whole(missing, 404) if path.endswith("/responses") else proper(path, body)
    assert caller.ask(SECOND, RESPONSES, input=[item, {"role": "user", "content": "hi"}]).status_code == 200
    assert caller.used() == (2, 24)
    provider.answer = proper
    assert Caller(http).ask(SECOND, RESPONSES).status_code == 200
    assert [path for path, _ in provider.asked] == ["/v1/responses"] * 2 + ["/v1/chat/completions", "/v1/responses"]


def test_a_404_of_a_model_or_of_what_is_kept_says_nothing_about_the_server(
    http: httpx.Client, provider: Provider
) -> None:
    caller = Caller(http)
    known = caller.ask(SECOND, RESPONSES)
    assert known.status_code == 200
    missing = {"error": {"message": "no such model", "type": "invalid_request_error", "code": "model_not_found"}}
    provider.answer = lambda path, body: whole(missing, 404)
    assert caller.ask(SECOND, RESPONSES).status_code == 503
    provider.answer = lambda path, body: whole({"error": {"message": "no such response"}}, 404)
    assert caller.ask(SECOND, RESPONSES, previous_response_id=known.json()["id"]).status_code >= 400
    assert {path for path, _ in provider.asked} == {"/v1/responses"}
    provider.answer = proper
    assert caller.ask(SECOND, RESPONSES).status_code == 200
    assert provider.asked[-1][0] == "/v1/responses"
