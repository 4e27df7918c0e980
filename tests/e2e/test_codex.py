"""Codex's and Claude Code's ways of asking: tools that they run themselves, tools of the provider's that they offer
beside those, betas, and servers that have no Responses API."""

from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from scalix.domain.requests.betas import PASSED_BETAS
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_gateway import begun_anew
from tests.e2e.scripted_provider import Answer, Provider, scripted_models, whole
from tests.e2e.test_who_is_to_blame import Caller, proper

CHAT_ONLY, CLAUDE, SECOND = "codex-chat-only", "codex-claude", "codex-second"
MODELS = scripted_models(
    (CHAT_ONLY, "openai/chat-only", "/v1"),
    (SECOND, "openai/second", "/v1"),
    (CLAUDE, "anthropic/claude-scripted", ""),
)
FALLBACKS = {CHAT_ONLY: [CLAUDE]}
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
def provider(answering: Provider) -> Provider:
    return begun_anew(answering)


@pytest.fixture
def http(answered: Gateway) -> Iterator[httpx.Client]:
    with answered.client() as client:
        yield client


@pytest.fixture(autouse=True)
def _as_usual(provider: Provider) -> None:
    begun_anew(provider)


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
    http: httpx.Client, answered: Gateway, provider: Provider
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
    client = openai.OpenAI(base_url=f"{answered.url}/v1", api_key=key, max_retries=0)
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


@pytest.mark.parametrize("choice", [{}, {"tool_choice": "auto"}])
def test_a_search_that_codex_offers_beside_its_own_tools_is_left_out_where_tokens_are_limited(
    http: httpx.Client, provider: Provider, choice: dict[str, Any]
) -> None:
    offered = [*TOOLS, {"type": "web_search", "external_web_access": False}, TOOLS[0] | {"name": "last"}]
    answer = Caller(http, "ten-thousand-tokens").ask(SECOND, RESPONSES, tools=offered, **choice)
    assert answer.status_code == 200, answer.text
    assert f"tools[{len(TOOLS)}].web_search" in answer.headers["x-scalix-dropped"].replace(" ", "").split(",")
    assert [tool.get("name") for tool in provider.asked[-1][1]["tools"]][-2:] == ["mcp__docs", "last"]

    unlimited = Caller(http, "premium")
    answer = unlimited.ask(SECOND, RESPONSES, tools=offered, **choice)
    assert answer.status_code == 200, answer.text
    assert "web_search" in [tool["type"] for tool in provider.asked[-1][1]["tools"]]


@pytest.mark.parametrize(
    ("tools", "choice"),
    [
        ([{"type": "web_search"}], {}),
        ([*TOOLS, {"type": "web_search"}], {"tool_choice": {"type": "web_search"}}),
        ([*TOOLS, {"type": "code_interpreter"}], {}),
    ],
    ids=["alone", "chosen", "of another kind"],
)
def test_a_tool_of_the_providers_that_is_asked_for_is_refused_where_tokens_are_limited(
    http: httpx.Client, provider: Provider, tools: list[dict[str, Any]], choice: dict[str, Any]
) -> None:
    refused = Caller(http, "ten-thousand-tokens").ask(SECOND, RESPONSES, tools=tools, **choice)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, f"tools[{len(tools) - 1}]")
    assert refused.json()["error"]["message"].endswith("Leave this tool out.")
    assert provider.asked == []


# What Claude Code 2.1 sends, shortened: its reminders stand among the messages as the system's.
CLAUDE_CODE: dict[str, Any] = {
    "max_tokens": 3000,
    "system": [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.b82; cc_entrypoint=sdk-cli;"},
        {"type": "text", "text": "You are an agent.", "cache_control": {"type": "ephemeral"}},
    ],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}}]},
        {"role": "system", "content": "Available agent types for the Agent tool"},
    ],
    "tools": [{"name": "Write", "description": "d", "input_schema": {"type": "object", "properties": {}}}],
    "metadata": {"user_id": '{"device_id":"d","account_uuid":"","session_id":"s"}'},
    "thinking": {"type": "enabled", "budget_tokens": 2999},
    "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
}


def claude_code(http: httpx.Client, path: str, model: str, betas: str, **more: Any) -> httpx.Response:
    headers = {"anthropic-beta": betas, "anthropic-version": "2023-06-01", "x-app": "cli"}
    return http.post(f"{path}?beta=true", json={"model": model, **CLAUDE_CODE, **more}, headers=headers)


def test_betas_on_the_list_reach_an_anthropic_provider_and_the_others_are_named(
    http: httpx.Client, provider: Provider
) -> None:
    refused = ("fast-mode-2026-02-01", "no-such-beta-2026-01-01")
    answer = claude_code(http, "/v1/messages", CLAUDE, ",".join((*PASSED_BETAS, *refused)))
    assert answer.status_code == 200, answer.text
    assert provider.heads[-1]["anthropic-beta"].split(",") == sorted(PASSED_BETAS)
    dropped = answer.headers["x-scalix-dropped"].replace(" ", "").split(",")
    assert [name for name in dropped if name.startswith("anthropic-beta.")] == [f"anthropic-beta.{n}" for n in refused]


def test_claude_codes_requests_are_answered_by_models_of_both_formats(http: httpx.Client, provider: Provider) -> None:
    betas = "claude-code-20250219,mid-conversation-system-2026-04-07"
    for model, path in ((CLAUDE, "/v1/messages"), (SECOND, "/v1/chat/completions")):
        answer = claude_code(http, "/v1/messages", model, betas)
        assert answer.status_code == 200, answer.text
        assert answer.json()["content"][-1]["text"] == "hello"
        assert provider.asked[-1][0] == path
        assert "Available agent types" in str(provider.asked[-1][1]["messages"])
        counted = claude_code(http, "/v1/messages/count_tokens", model, betas)
        assert counted.json()["input_tokens"] > 20, counted.text
    assert [message["role"] for message in provider.asked[0][1]["messages"]] == ["user", "system"]
    assert len(provider.asked) == 2
