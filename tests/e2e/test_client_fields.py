"""What real clients put into their bodies: taken, passed on, or left out and named. A running gateway with LiteLLM in
it, providers of three formats, and their logs; OpenAI's and Anthropic's own SDKs."""

from collections.abc import Iterator
from typing import Any

import anthropic
import httpx
import openai
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_gateway import begun_anew
from tests.e2e.scripted_provider import Answer, Provider, scripted_models
from tests.e2e.test_late_usage import CHAT as CHAT_STREAM
from tests.e2e.test_who_is_to_blame import Caller, proper

OPENAI, GEMINI, CLAUDE, O3, EMBED = "fields-openai", "fields-gemini", "fields-claude", "fields-o3", "fields-embed"
PINGS, CLAUDE_PINGS, AZURE = "fields-pings", "fields-claude-pings", "fields-azure"
FREE_NAME = "fields 4.1-mini (eu)"
O3_DROPS, EMBED_DROPS, CLAUDE_DROPS = "fields-o3-drops", "fields-embed-drops", "fields-claude-drops"
MODELS = scripted_models(
    (OPENAI, "openai/scripted", "/v1"),
    (GEMINI, "gemini/gemini-2.5-flash", ""),
    (CLAUDE, "anthropic/claude-scripted", ""),
    (O3, "openai/o3", "/v1"),
    (EMBED, "openai/nomic", "/v1"),
    (FREE_NAME, "openai/free", "/v1"),
    (PINGS, "openai/pings", "/v1"),
    (CLAUDE_PINGS, "anthropic/claude-pings", ""),
    (AZURE, "azure/gpt-4o", ""),
)
for entry in scripted_models(
    (O3_DROPS, "openai/o3", "/v1"), (EMBED_DROPS, "openai/nomic", "/v1"), (CLAUDE_DROPS, "anthropic/claude-drops", "")
):
    MODELS.append({**entry, "litellm_params": {**entry["litellm_params"], "drop_params": True}})
FALLBACKS = {PINGS: [GEMINI], CLAUDE_PINGS: [GEMINI]}
CHAT, COMPLETIONS, EMBEDDINGS = "/v1/chat/completions", "/v1/completions", "/v1/embeddings"
RESPONSES, MESSAGES = "/v1/responses", "/v1/messages"
DROPPED = "x-scalix-dropped"


@pytest.fixture(scope="module")
def provider(answering: Provider) -> Provider:
    return begun_anew(answering)


@pytest.fixture
def http(answered: Gateway) -> Iterator[httpx.Client]:
    with answered.client() as client:
        yield client


@pytest.fixture
def caller(http: httpx.Client) -> Caller:
    return Caller(http)


@pytest.fixture
def key(http: httpx.Client, caller: Caller) -> str:
    answer = http.post("/key/generate", json={"user_id": caller.name})
    return str(answer.json()["key"])


EXTRAS: dict[str, Any] = {
    "top_k": 5,
    "min_p": 0.1,
    "repetition_penalty": 1.1,
    "guided_json": {"type": "object"},
    "enable_thinking": False,
    "chat_template_kwargs": {"enable_thinking": False},
    "provider": {"order": ["a"], "sort": "price"},
    "usage": {"include": True},
}


@pytest.mark.parametrize("path", [CHAT, COMPLETIONS, RESPONSES])
def test_the_fields_of_the_shipped_list_reach_a_server_of_openais_format_as_they_were_sent(
    caller: Caller, provider: Provider, path: str
) -> None:
    answer = caller.ask(OPENAI, path, **EXTRAS)
    assert answer.status_code == 200, answer.text
    sent = provider.asked[-1][1]
    assert {name: sent.get(name) for name in EXTRAS} == EXTRAS
    assert "extra_body" not in sent
    assert DROPPED not in answer.headers


def test_a_stream_of_openais_format_may_state_its_usage_in_every_event(caller: Caller, provider: Provider) -> None:
    options = {"include_usage": True, "continuous_usage_stats": True}
    caller.ask(OPENAI, stream=True, stream_options=options)
    assert provider.asked[-1][1]["stream_options"] == options


@pytest.mark.parametrize("model", [GEMINI, CLAUDE])
def test_a_provider_of_another_format_is_not_sent_them_and_the_client_is_told(
    caller: Caller, provider: Provider, model: str
) -> None:
    answer = caller.ask(model, **EXTRAS)
    assert answer.status_code == 200, answer.text
    assert set(answer.headers[DROPPED].split(", ")) == EXTRAS.keys() - {"top_k"}
    sent = str(provider.asked[-1][1])
    assert "min_p" not in sent
    assert "guided_json" not in sent


CODEX: dict[str, Any] = {
    "instructions": "You are a coding agent.",
    "input": [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hi"}]}],
    "tools": [
        {"type": "function", "name": "shell", "parameters": {"type": "object", "properties": {}}, "strict": False}
    ],
    "tool_choice": "auto",
    "parallel_tool_calls": False,
    "reasoning": {"effort": "medium", "summary": "auto"},
    "store": False,
    "stream": False,
    "include": ["reasoning.encrypted_content"],
    "prompt_cache_key": "019b-7c",
    "text": {"verbosity": "low"},
    "client_metadata": {"x-codex-installation-id": "4a"},
    "previous_response_id": None,
}


@pytest.mark.parametrize("model", [OPENAI, GEMINI, CLAUDE])
def test_a_request_of_codex_is_served_by_every_format(caller: Caller, provider: Provider, model: str) -> None:
    answer = caller.ask(model, RESPONSES, **{**CODEX, "parallel_tool_calls": True})
    assert answer.status_code == 200, answer.text
    assert "client_metadata" in answer.headers[DROPPED].split(", ")
    assert "installation" not in str(provider.asked[-1][1])


NEUTRAL: dict[str, Any] = {
    "presence_penalty": 0,
    "frequency_penalty": 0.0,
    "logit_bias": {},
    "logprobs": False,
    "store": False,
    "modalities": ["text"],
    "service_tier": "auto",
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "n": 1,
    "seed": 7,
    "verbosity": "low",
    "metadata": {"a": "b"},
    "user": 17,
    "stop": None,
    "nobodys_field": None,
}


@pytest.mark.parametrize("model", [OPENAI, GEMINI, CLAUDE, O3])
def test_what_says_nothing_or_is_a_hint_keeps_no_model_from_answering(answered: Gateway, key: str, model: str) -> None:
    with httpx.Client(base_url=answered.url, headers={"authorization": f"Bearer {key}"}) as client:
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], **NEUTRAL, "stream": False}
        answer = client.post(CHAT, json=body)
    assert answer.status_code == 200, answer.text
    dropped = answer.headers[DROPPED].split(", ")
    assert "metadata" in dropped
    assert "nobodys_field" not in dropped
    if model == CLAUDE:
        assert {"presence_penalty", "logit_bias", "seed", "verbosity", "store", "n"} <= set(dropped)


@pytest.mark.parametrize(
    ("model", "path", "fields"),
    [
        (O3, CHAT, {"presence_penalty": 0.5}),
        (CLAUDE, CHAT, {"n": 2}),
        (CLAUDE, CHAT, {"logit_bias": {"1": 1}}),
        (GEMINI, CHAT, {"logit_bias": {"1": 1}}),
        (O3, CHAT, {"temperature": 0.2}),  # known, but not with every value
        (EMBED, EMBEDDINGS, {"dimensions": 5}),
        (CLAUDE, RESPONSES, {"top_logprobs": 3}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_what_would_change_the_answer_is_a_free_400_in_words_of_ours(
    caller: Caller, provider: Provider, model: str, path: str, fields: dict[str, Any]
) -> None:
    asked = len(provider.asked)
    answer = caller.ask(model, path, **fields)
    error = answer.json()["error"]
    (name,) = fields
    assert (answer.status_code, error["param"]) == (400, name), answer.text
    assert model in error["message"]
    assert name in error["message"]
    for advice in ("drop_params", "litellm", "allowed_openai_params"):
        assert advice not in error["message"].lower()
    assert len(provider.asked) == asked
    assert caller.used() == (0, 0)


@pytest.mark.parametrize(
    ("model", "path", "fields", "kept"),
    [
        (O3_DROPS, CHAT, {"temperature": 0.2, "presence_penalty": 0.5, "seed": 3}, {"seed"}),
        (O3_DROPS, CHAT, {"temperature": 1, "presence_penalty": 0.5}, {"temperature"}),
        (O3_DROPS, CHAT, {"reasoning_effort": "low", "top_p": 0.5}, {"reasoning_effort"}),
        (EMBED_DROPS, EMBEDDINGS, {"dimensions": 5, "encoding_format": "float"}, {"encoding_format"}),
        (CLAUDE_DROPS, CHAT, {"n": 2, "logit_bias": {"1": 1}, "temperature": 0.5}, {"temperature"}),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_what_a_model_is_not_told_because_of_drop_params_is_named(
    caller: Caller, provider: Provider, model: str, path: str, fields: dict[str, Any], kept: set[str]
) -> None:
    answer = caller.ask(model, path, **fields)
    assert answer.status_code == 200, answer.text
    sent = provider.asked[-1][1]
    assert fields.keys() & sent.keys() == kept
    assert set(answer.headers[DROPPED].split(", ")) == fields.keys() - kept


@pytest.mark.parametrize("model", [EMBED, GEMINI])
def test_openais_sdk_embeds_with_a_model_that_knows_neither_encodings_nor_users(
    answered: Gateway, key: str, model: str
) -> None:
    """The SDK asks for base64 by itself, and reads lists as well."""
    client = openai.OpenAI(base_url=f"{answered.url}/v1", api_key=key, max_retries=0)
    assert client.embeddings.create(model=model, input="hi", user="me").data[0].embedding == pytest.approx([0.1])


@pytest.mark.parametrize("model", [OPENAI, GEMINI, CLAUDE])
def test_a_request_of_claude_code_is_served_by_every_format(answered: Gateway, key: str, model: str) -> None:
    client = anthropic.Anthropic(base_url=answered.url, api_key=key, max_retries=0)
    answer = client.messages.create(
        model=model,
        max_tokens=2000,
        system=[{"type": "text", "text": "You are Claude Code.", "cache_control": {"type": "ephemeral"}}],
        messages=[{"role": "user", "content": "hi"}],
        metadata={"user_id": "user_abc"},
        thinking={"type": "enabled", "budget_tokens": 1024},
        tools=[{"name": "Bash", "input_schema": {"type": "object", "properties": {}}}],
        extra_body={"context_management": {"edits": []}},
        extra_headers={"anthropic-beta": "interleaved-thinking-2025-05-14"},
    )
    assert answer.content


def test_what_changes_what_is_counted_is_refused_with_the_reason(caller: Caller, provider: Provider) -> None:
    asked = len(provider.asked)
    for name in ("max_new_tokens", "ignore_eos", "best_of", "priority", "plugins", "chat_template", "api_base"):
        answer = caller.ask(OPENAI, CHAT, **{name: 5})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert len(provider.asked) == asked
    assert caller.used() == (0, 0)


def test_a_name_of_foreign_letters_can_not_break_out_of_the_header(caller: Caller) -> None:
    answer = caller.ask(OPENAI, CHAT, **{"evil\r\nset-cookie: a=b": 1, "ünicode": 1})
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert set(answer.headers[DROPPED].split(", ")) == {"evil??set-cookie:?a=b", "?nicode"}


PING_EVENTS = [
    *(b": ping\n\n", b"data: ping\n\n", b"data:\n\n", b"data: [KEEPALIVE]\n\n", b"event: keepalive\ndata: {}\n\n"),
    *(b'event: ping\ndata: {"type": "ping"}\n\n', b'data: {"type":"keepalive","sequence_number":1}\n\n'),
]


@pytest.mark.parametrize("ping", PING_EVENTS, ids=repr)
@pytest.mark.parametrize(("model", "path"), [(PINGS, CHAT), (PINGS, RESPONSES), (CLAUDE_PINGS, MESSAGES)])
def test_signs_of_life_alone_are_no_first_byte_and_another_model_takes_over(
    caller: Caller, provider: Provider, model: str, path: str, ping: bytes
) -> None:
    def answer(asked: str, body: dict[str, Any]) -> Answer:
        if "generate" in asked.lower():
            part = b'data: {"candidates": [{"content": {"role": "model", "parts": [{"text": "hello"}]}, "index": 0,'
            end = b'"finishReason": "STOP"}], "usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 5}}\n\n'
            return Answer(pieces=[part + end], headers=(("content-type", "text/event-stream"),))
        return Answer(pieces=[ping] * 5, headers=(("content-type", "text/event-stream"),))

    provider.answer = answer
    try:
        told = caller.ask(model, path, stream=True)
    finally:
        provider.answer = proper
    assert told.status_code == 200, told.text
    assert told.headers["x-scalix-model-served"] == GEMINI
    assert "hello" in told.text


def azure(answered: Gateway, key: str, **more: Any) -> openai.AzureOpenAI:
    return openai.AzureOpenAI(azure_endpoint=answered.url, api_key=key, api_version="2024-10-21", max_retries=0, **more)


HI: Any = [{"role": "user", "content": "hi"}]


@pytest.mark.parametrize("model", [OPENAI, GEMINI, FREE_NAME])
def test_azures_sdk_chats_streamed_and_not_by_the_path_of_a_deployment(
    answered: Gateway, key: str, provider: Provider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for client in (azure(answered, key), azure(answered, key, azure_deployment=model)):
        answer = client.chat.completions.create(model=model, messages=HI)
        assert (answer.choices[0].message.content, answer.model) == ("hello", model)
    if model != GEMINI:
        events = Answer(200, (*CHAT_STREAM[0], *CHAT_STREAM[1]), (("content-type", "text/event-stream"),))
        monkeypatch.setattr(provider, "answer", lambda path, body: events)
        stream = azure(answered, key).chat.completions.create(model=model, messages=HI, stream=True)
        assert "".join(one.choices[0].delta.content or "" for one in stream if one.choices) == "hello"


def test_azures_sdk_embeds_and_its_v1_route_is_served(answered: Gateway, key: str) -> None:
    assert azure(answered, key).embeddings.create(model=EMBED, input="hi").data[0].embedding == pytest.approx([0.1])
    client = openai.OpenAI(base_url=f"{answered.url}/openai/v1/", api_key=key, max_retries=0)
    assert client.chat.completions.create(model=FREE_NAME, messages=HI).choices[0].message.content == "hello"
    assert client.responses.create(model=OPENAI, input="hi").output_text == "hello"


def test_azures_sdk_is_told_of_a_wrong_key_and_of_a_deployment_that_is_not_there(answered: Gateway, key: str) -> None:
    with pytest.raises(openai.AuthenticationError):
        azure(answered, "sk-wrong").chat.completions.create(model=FREE_NAME, messages=HI)
    with pytest.raises(openai.NotFoundError, match="no such one"):
        azure(answered, key).chat.completions.create(model="no such one", messages=HI)


@pytest.mark.parametrize(("model", "role"), [(AZURE, "developer"), (O3, "developer"), (OPENAI, "system")])
@pytest.mark.parametrize("content", ["be brief", [{"type": "text", "text": "be brief"}]], ids=["text", "parts"])
def test_the_role_developer_reaches_those_who_know_it_and_is_system_for_other_servers(
    http: httpx.Client, provider: Provider, model: str, role: str, content: Any
) -> None:
    before = len(provider.asked)
    messages = [{"role": "developer", "content": content}, {"role": "user", "content": "hi"}]
    http.post(CHAT, json={"model": model, "messages": messages})
    asked = provider.asked[before:]
    assert asked
    assert [[message["role"] for message in body["messages"]] for _, body in asked] == [[role, "user"]] * len(asked)
