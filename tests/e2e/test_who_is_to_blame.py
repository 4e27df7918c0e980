"""What a client writes is never taken for a provider's failure, and what a provider has answered is never free.

Against a running gateway with LiteLLM in it, and models of three providers' formats; the provider's log says what it
was asked.
"""

import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, scripted_models, whole

OPENAI, GEMINI, CLAUDE = "blame-openai", "blame-gemini", "blame-claude"
MODELS = scripted_models(
    (OPENAI, "openai/scripted", "/v1"),
    (GEMINI, "gemini/gemini-2.5-flash", ""),
    (CLAUDE, "anthropic/claude-scripted", ""),
)


def proper(path: str, body: dict[str, Any]) -> Answer:
    """A small answer in the format of the path."""
    if path.endswith("/messages"):
        return whole(
            {
                "id": "msg_1",
                "type": "message",
                "role": "assistant",
                "model": "m",
                "content": [{"type": "text", "text": "hello"}],
                "stop_reason": "end_turn",
                "usage": {"input_tokens": 7, "output_tokens": 5},
            }
        )
    if "generateContent" in path:
        candidate = {"content": {"role": "model", "parts": [{"text": "hello"}]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 7, "candidatesTokenCount": 5, "totalTokenCount": 12}
        return whole({"candidates": [candidate], "usageMetadata": usage})
    if "EmbedContents" in path:
        return whole({"embeddings": [{"values": [0.1]} for _ in body["requests"]]})
    if path.endswith("/responses"):
        content = [{"type": "output_text", "text": "hello", "annotations": []}]
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}
        usage = {"input_tokens": 7, "output_tokens": 5, "total_tokens": 12}
        answer = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m", "status": "completed"}
        return whole({**answer, "output": [message], "usage": usage, "parallel_tool_calls": True, "tools": []})
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    shape = {"id": "c1", "created": 1, "model": "m", "usage": usage}
    if path.endswith("/chat/completions"):
        message = {"role": "assistant", "content": "hello"}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return whole({**shape, "object": "chat.completion", "choices": [choice]})
    if path.endswith("/embeddings"):
        return whole({**shape, "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}]})
    choice = {"index": 0, "text": "hello", "finish_reason": "stop", "logprobs": None}
    return whole({**shape, "object": "text_completion", "choices": [choice]})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(proper) as made:
        yield made


@pytest.fixture(scope="module")
def blamed(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    section = {"cooldown": {"failures": 3}, "fallbacks": {GEMINI: [OPENAI]}, "overload": {}}
    folder = tmp_path_factory.mktemp("blamed")
    gateway = Gateway(folder, provider.url, section=section, models=MODELS).start()
    yield gateway
    gateway.stop()


class Caller:
    """One user, of a roomy tier."""

    def __init__(self, http: httpx.Client, tier: str = "roomy") -> None:
        self.http = http
        self.name = f"user-{secrets.token_hex(6)}"
        assert http.post("/user/new", json={"user_id": self.name, "tier": tier}).status_code == 200

    def ask(self, model: str, path: str = "/v1/chat/completions", **more: Any) -> httpx.Response:
        body: dict[str, Any] = {"model": model, "user": self.name, **more}
        if path.endswith("/messages"):
            body["max_tokens"] = 200
        if not {"messages", "input", "prompt"} & body.keys():
            name = {"/v1/responses": "input", "/v1/embeddings": "input", "/v1/completions": "prompt"}.get(path)
            body |= {"messages": [{"role": "user", "content": "hi"}]} if name is None else {name: "hi"}
        return self.http.post(path, json=body)

    def used(self) -> tuple[int, int]:
        """Requests and tokens of today."""
        limits = self.http.get("/user/limits", params={"user_id": self.name}).json()["limits"]
        found = {limit["limit"]: limit["used"] for limit in limits}
        return found["requests-day"], found["tokens-day"]


@pytest.fixture
def http(blamed: Gateway) -> Iterator[httpx.Client]:
    with blamed.client() as client:
        yield client


@pytest.fixture(autouse=True)
def _as_usual(provider: Provider) -> None:
    provider.answer = proper


def part(value: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}, value]}]}


CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": {"a": 1}}}
# What a client may write that LiteLLM's own code stumbles over, on at least one of the formats.
BODIES: dict[str, dict[str, Any]] = {
    "a file that is a text": part({"type": "file", "file": "x"}),
    "a file that is empty": part({"type": "file", "file": {}}),
    "an unknown part": part({"type": "hologram", "hologram": {"data": "x"}}),
    "a part without its content": part({"type": "image_url"}),
    "an image that is no image": part({"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}}),
    "a sound that is a text": part({"type": "input_audio", "input_audio": "x"}),
    "a tool without a function": {"tools": [{"type": "function"}]},
    "a tool without a name": {"tools": [{"type": "function", "function": {"parameters": {"type": "object"}}}]},
    "a tool with a text for parameters": {
        "tools": [{"type": "function", "function": {"name": "f", "parameters": "x"}}]
    },
    "a schema that is a text": {"response_format": {"type": "json_schema", "json_schema": "x"}},
    "a schema without a schema": {"response_format": {"type": "json_schema", "json_schema": {"name": "n"}}},
    "an orphan of a tool": {"messages": [{"role": "tool", "tool_call_id": "c9", "content": "x"}]},
    "arguments that are an object": {
        "messages": [
            {"role": "user", "content": "hi"},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "c1", "content": "x"},
        ]
    },
    "a call without a function": {
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "tool_calls": [{"id": "c"}]}]
    },
    "a tool choice of nothing": {"tool_choice": {"type": "function"}},
    "a content of numbers": {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "x", "cache_control": 5}]}]
    },
}


@pytest.mark.parametrize("model", [OPENAI, GEMINI, CLAUDE])
def test_what_a_client_writes_is_its_own_mistake_and_takes_the_model_from_nobody(
    http: httpx.Client, provider: Provider, model: str
) -> None:
    mallory, alice = Caller(http), Caller(http)
    for name, body in BODIES.items():
        seen, before = len(provider.asked), mallory.used()
        answer = mallory.ask(model, **body)
        asked = provider.asked[seen:]
        # Either the provider was asked and has answered, or it was not, and the client is told what is wrong.
        if asked:
            assert answer.status_code == 200, (name, answer.text)
        else:
            assert answer.status_code == 400, (name, answer.text)
            assert "Traceback" not in answer.text
            assert "litellm" not in answer.text.lower(), (name, answer.text)
        requests, tokens = mallory.used()
        assert requests - before[0] <= 1
        assert tokens - before[1] == 12 * len(asked), name
    # When the worst of them has come often enough to look like a model that fails
    for _ in range(6):
        mallory.ask(model, **BODIES["a file that is a text"])
    # Then others and the same user are served by the model at once
    for caller in (alice, mallory):
        answer = caller.ask(model)
        assert (answer.status_code, answer.headers["x-scalix-model-served"]) == (200, model), answer.text


HI = {"role": "user", "content": "hi"}


def part_alone(**part: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": [part]}]}


def _tool(**function: Any) -> dict[str, Any]:
    return {"tools": [{"type": "function", "function": function}]}


def _schema(value: Any) -> dict[str, Any]:
    return {"response_format": {"type": "json_schema", **value}}


def _called(arguments: Any) -> dict[str, Any]:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": arguments}}
    result = {"role": "tool", "tool_call_id": "c1", "content": "42"}
    return {"messages": [HI, {"role": "assistant", "content": None, "tool_calls": [call]}, result]}


PART = "messages[0].content[0]"
ARGUMENTS = "messages[1].tool_calls[0].function.arguments"
# What is wrong, and the field that is named where LiteLLM fails on it.
CHAT: list[tuple[dict[str, Any], str | None]] = [
    (part_alone(type="file", file="x"), f"{PART}.file"),
    (part_alone(type="file"), f"{PART}.file"),
    (part_alone(type="hologram", hologram={"a": 1}), f"{PART}.type"),
    (part_alone(type="input_audio", input_audio="x"), f"{PART}.input_audio"),
    (part_alone(type="image_url", image_url={"url": 5}), None),
    ({"messages": [{"role": "user", "content": ["text"]}]}, PART),
    ({"messages": [{"role": "tool", "tool_call_id": "c1", "content": "42"}]}, "messages[0].tool_call_id"),
    ({"messages": [HI, {"role": "tool", "tool_call_id": "c1", "content": "42"}]}, "messages[1].tool_call_id"),
    ({"messages": [HI, {"role": "assistant", "tool_calls": [{"id": "c1"}]}]}, "messages[1].tool_calls[0].function"),
    ({"messages": [HI, {"role": "assistant", "function_call": "x"}]}, "messages[1].function_call"),
    (_called({"a": 1}), ARGUMENTS),
    (_called("{a"), ARGUMENTS),
    (_called("[1]"), ARGUMENTS),
    (_tool(description="nameless"), "tools[0].function.name"),
    (_tool(name="f", parameters="text"), "tools[0].function.parameters"),
    ({"tools": [{"type": "function", "function": "x"}]}, "tools[0].function"),
    ({"tools": [{"name": "f"}]}, "tools[0].type"),
    ({**_tool(name="f"), "tool_choice": {"type": "function"}}, "tool_choice.function"),
    (_schema({}), "response_format.json_schema"),
    (_schema({"json_schema": "x"}), "response_format.json_schema"),
    (_schema({"json_schema": {"name": "x"}}), "response_format.json_schema.schema"),
    (_schema({"json_schema": {"name": "x", "schema": "y"}}), "response_format.json_schema.schema"),
]
MESSAGES: list[tuple[dict[str, Any], str | None]] = [
    (part_alone(type="hologram"), f"{PART}.type"),
    (part_alone(type="tool_result"), f"{PART}.tool_use_id"),
    (part_alone(type="image", source="x"), f"{PART}.source"),
    (part_alone(type="document"), f"{PART}.source"),
    ({"messages": [{"role": "user", "content": ["text"]}]}, PART),
    ({"messages": [HI, {"role": "assistant", "content": [{"type": "tool_use", "input": "x"}]}]}, None),
    ({"tools": [{"input_schema": {}}]}, "tools[0].name"),
    ({"tools": [{"name": "f", "input_schema": "x"}]}, "tools[0].input_schema"),
    ({"tools": [{"name": "f", "input_schema": {}}], "tool_choice": "x"}, "tool_choice"),
]
RESPONSES: list[tuple[dict[str, Any], str | None]] = [
    ({"input": [{"type": "weird"}]}, None),
    ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "input[0].content[0].type"),
    ({"input": [{"role": "user", "content": [{"type": "input_image", "image_url": 5}]}]}, None),
    ({"input": [{"role": "user", "content": [{"type": "input_file", "file_data": 5}]}]}, None),
    ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, None),
    ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}}]}, "input[0].arguments"),
    ({"tools": [{"type": "function"}]}, "tools[0].name"),
    ({"tools": [{"type": "function", "name": "f", "parameters": "x"}]}, "tools[0].parameters"),
    ({"text": {"format": "x"}}, "text.format"),
]
LISTS: list[Any] = [["a", [1, 2]], ["a", 1], [1, 2, 3], [[1, 2], [3]]]
CORPUS: dict[str, list[tuple[dict[str, Any], str | None]]] = {
    "/v1/chat/completions": CHAT,
    "/v1/messages": MESSAGES,
    "/v1/responses": RESPONSES,
    "/v1/completions": [({"prompt": value}, None) for value in LISTS],
    "/v1/embeddings": [({"input": value}, None) for value in LISTS],
}


@pytest.mark.parametrize("model", [OPENAI, GEMINI, CLAUDE])
@pytest.mark.parametrize("path", CORPUS)
def test_a_mistake_is_named_where_it_can_be_told_counted_once_and_twenty_of_them_keep_nobody_away(
    http: httpx.Client, provider: Provider, path: str, model: str
) -> None:
    # A tier without limits of tokens, where nothing is refused for its unknown size
    mallory, alice = Caller(http, "all-models"), Caller(http, "all-models")
    corpus, tokens, number = CORPUS[path], 0, 0
    for body, field in corpus * (20 // len(corpus) + 1):
        seen = len(provider.asked)
        answer = mallory.ask(model, path, **body)
        usage = http.get("/user/info", params={"user_id": mallory.name}).json()["usage"]
        if "was not sent" not in answer.text and answer.status_code == 400:  # refused before it was admitted
            assert answer.json()["error"]["param"].startswith(PART), (body, answer.text)
            assert (usage["requests_today"], len(provider.asked)) == (number, seen)
            continue
        number += 1
        assert (usage["requests_today"], usage["in_flight_requests"]) == (number, 0), (body, answer.text)
        if len(provider.asked) > seen:
            assert (answer.status_code, len(provider.asked) - seen) == (200, 1), (body, answer.text)
            tokens = usage["tokens_today"]
            continue
        assert answer.status_code == 400, (body, answer.text)
        assert "was not sent" in answer.json()["error"]["message"]
        assert answer.json()["error"]["param"] == field or field is None, (body, answer.text)
        assert usage["tokens_today"] == tokens
    if path != "/v1/embeddings" or model == OPENAI:
        for caller in (alice, mallory):
            assert caller.ask(model, path).status_code == 200


@pytest.mark.parametrize("model", [OPENAI, CLAUDE])
def test_an_invented_id_of_a_former_answer_blames_no_model(http: httpx.Client, model: str) -> None:
    mallory, alice = Caller(http), Caller(http)
    http.post("/user/update", json={"user_id": mallory.name, "tier": "premium"})
    for _ in range(6):
        answer = mallory.ask(model, "/v1/responses", previous_response_id="resp_fake")
        assert answer.status_code in (400, 404), answer.text
    answer = alice.ask(model, "/v1/responses")
    assert answer.status_code == 200, answer.text


def test_an_answer_that_was_cut_in_a_tool_call_is_charged_what_it_states_and_asked_once(
    http: httpx.Client, provider: Provider
) -> None:
    # Given a provider whose answer was cut by the client's own limit in the middle of a tool call's arguments
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a": "unfinis'}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]}
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    usage = {"prompt_tokens": 50, "completion_tokens": 150, "total_tokens": 200}
    answer = {"id": "c1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    provider.answer = lambda path, body: whole(answer)
    alice, seen = Caller(http), len(provider.asked)
    # When it is asked for on the route that needs them as an object
    tools = [{"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "string"}}}}]
    got = alice.ask(OPENAI, "/v1/messages", tools=tools, messages=[{"role": "user", "content": "hi"}])
    # Then what it used is charged, once, whatever the client is told
    assert alice.used() == (1, 200), got.text
    assert len(provider.asked) - seen == 1
    if got.status_code != 200:
        assert got.status_code == 502
        assert got.json()["error"]["code"] == "answer_untranslatable"
        assert "is charged" in got.json()["error"]["message"]


def test_an_answer_of_geminis_that_can_not_be_read_is_neither_the_clients_fault_nor_shown(
    http: httpx.Client, provider: Provider
) -> None:
    odd = {
        "candidates": [{"content": {"parts": "canary-of-a-raw-body"}, "finishReason": 7, "index": "x"}],
        "usageMetadata": {"promptTokenCount": 70, "candidatesTokenCount": 50, "totalTokenCount": 120},
    }
    provider.answer = lambda path, body: whole(odd)
    alice, seen = Caller(http), len(provider.asked)
    got = alice.ask(GEMINI)
    assert got.status_code == 502, got.text
    assert "canary" not in got.text
    assert alice.used() == (1, 120)
    assert len(provider.asked) - seen == 1


def test_a_user_who_makes_a_provider_fail_takes_the_model_from_nobody(http: httpx.Client, provider: Provider) -> None:
    def failing_for_one(path: str, body: dict[str, Any]) -> Answer:
        return whole({"error": {"message": "boom"}}, 500) if "poison" in str(body) else proper(path, body)

    provider.answer = failing_for_one
    mallory, alice = Caller(http), Caller(http)
    for _ in range(8):
        assert mallory.ask(CLAUDE, messages=[{"role": "user", "content": "poison"}]).status_code == 503
    answer = alice.ask(CLAUDE)
    assert (answer.status_code, answer.headers["x-scalix-model-served"]) == (200, CLAUDE)


ECHOED = [
    "a." * 10_000,
    " " * 20_000,
    "a@" * 10_000,
    "key " * 5_000,
    "a." * 6_000,
    "x://" * 100_000,
    'tenant "' * 50_000,
]


@pytest.mark.parametrize("text", ECHOED, ids=lambda text: f"{len(text)} of {text[:8]!r}")
def test_a_provider_that_echoes_what_a_client_wrote_stops_nobody(
    blamed: Gateway, http: httpx.Client, provider: Provider, text: str
) -> None:
    """Patterns over such texts took 7 to 29 s, with everybody else waiting."""
    # Given a provider that quotes what it was sent, and says where it runs
    secret = [
        *("10.20.30.40:8000", "canary-1234", "vllm.canary.svc", "/srv/canary/app.py", "AKIACANARY0123456789"),
        *("arn:aws:iam::123456789012:role/canary", "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJl"),
    ]
    ours = "at {} with api_key={} of {}, file {}, {} as {}, token {}: the temperature is wrong; you sent".format(
        *secret
    )
    said = f"{ours} {text} {ours}"
    provider.answer = lambda path, body: whole({"type": "error", "error": {"type": "x", "message": said}}, 400)
    alice = Caller(http)
    with longest_wait(blamed) as waited_s:
        # When it is asked, and the client itself writes something like it where LiteLLM quotes it
        got = alice.ask(CLAUDE)
        quoted = alice.ask(CLAUDE, reasoning_effort=text)
    # Then nobody else has waited, and the client is told what it can mend, and nothing of ours
    assert max(waited_s, default=0.0) < 2
    assert (got.status_code, quoted.status_code) == (400, 400)
    assert len(got.json()["error"]["message"]) < 600
    if len(said) < 50_000:  # of a longer one so little is read that it is no JSON
        assert "the temperature is wrong" in got.text
    for seen in (got.text, quoted.text, blamed.log_text()):
        assert not [part for part in ("canary", *secret) if part in seen]


@contextmanager
def longest_wait(gateway: Gateway) -> Iterator[list[float]]:
    """What others wait for a health check of the same worker meanwhile, seconds; the last one begins before the end."""
    waited_s: list[float] = []
    over = threading.Event()

    def ask() -> None:
        with gateway.client() as client:
            while not over.is_set():
                began_s = time.monotonic()
                client.get("/health/liveliness")
                waited_s.append(time.monotonic() - began_s)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield waited_s
    finally:
        over.set()
        thread.join()


@pytest.mark.parametrize("model", [OPENAI, CLAUDE, GEMINI])
def test_a_redirect_to_another_host_is_the_providers_failure_and_nothing_goes_there(
    blamed: Gateway, http: httpx.Client, provider: Provider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(http)
    with scripted(proper) as elsewhere:

        def answer(path: str, body: dict[str, Any]) -> Answer:
            if caller.name in json.dumps(body):
                return Answer(307, (b"",), (("location", f"{elsewhere.url}{path}"), ("content-length", "0")))
            return proper(path, body)

        monkeypatch.setattr(provider, "answer", answer)
        refused = caller.ask(model, messages=[{"role": "user", "content": caller.name}])
        assert elsewhere.asked == []
    assert refused.status_code == 503, refused.text
    assert caller.used() == (0, 0)


@pytest.mark.parametrize("model", [OPENAI, CLAUDE, GEMINI])
def test_a_redirect_within_the_host_is_followed(
    blamed: Gateway, http: httpx.Client, provider: Provider, model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    caller = Caller(http)

    def answer(path: str, body: dict[str, Any]) -> Answer:
        if "/moved/" in path:
            return proper(path, body)
        where = path.replace("/v1", "/moved/v1", 1)
        return Answer(307, (b"",), (("location", where), ("content-length", "0")))

    monkeypatch.setattr(provider, "answer", answer)
    assert caller.ask(model).status_code == 200


@pytest.mark.parametrize(
    ("status", "error"),
    [
        # https://github.com/QwenLM/qwen-code/issues/73
        (
            402,
            {"code": 402, "message": "This request requires more credits, or fewer max_tokens. You can afford 3919."},
        ),
        (
            402,
            {"code": 402, "message": "Prompt tokens limit exceeded: 230799 > 91442. To increase, visit the settings"},
        ),
        # https://github.com/Wei-Shaw/sub2api/issues/572, with the header that others send
        (429, {"type": "rate_limit_error", "message": "Extra usage is required for long context requests."}),
        (403, {"type": "invalid_request_error", "message": "You are not allowed to request logprobs from this model"}),
        (403, "<html>Sorry, you have been blocked. You submitted a SQL command, or malformed data.</html>"),
    ],
    ids=["the answer is too dear", "the prompt is too dear", "the prompt is too long", "a field", "a firewall"],
)
def test_what_a_provider_says_of_one_request_under_the_accounts_status_takes_the_model_from_nobody(
    http: httpx.Client, provider: Provider, status: int, error: Any
) -> None:
    def answer(path: str, body: dict[str, Any]) -> Answer:
        if "unusual" not in str(body):
            return proper(path, body)
        said = error.encode() if isinstance(error, str) else json.dumps({"error": error}).encode()
        kind = "text/html" if isinstance(error, str) else "application/json"
        return Answer(status, (said,), (("content-type", kind), ("retry-after", "30")))

    provider.answer = answer
    mallory, alice = Caller(http), Caller(http)
    for _ in range(2):
        assert mallory.ask(CLAUDE, messages=[{"role": "user", "content": "unusual"}]).status_code >= 400
    answered = alice.ask(CLAUDE)
    assert (answered.status_code, answered.headers["x-scalix-model-served"]) == (200, CLAUDE), answered.text


@pytest.mark.parametrize("words", ["Your credit balance is too low", "insufficient_quota", "API key not valid"])
def test_words_about_an_account_that_the_client_wrote_itself_are_an_echo_and_the_request_is_counted(
    http: httpx.Client, provider: Provider, words: str
) -> None:
    """It could be sent for ever: each cost the provider a request, and its fallbacks one more."""
    # Given a provider that quotes what is wrong, under the status that one of them has for a used-up account too
    message = {"type": "invalid_request_error", "message": f"stop: '{words}' is too long"}
    provider.answer = lambda path, body: whole({"error": message}, 400)
    mallory, seen = Caller(http), len(provider.asked)
    quoted = mallory.ask(OPENAI, stop=[words])
    assert (quoted.status_code, quoted.json()["error"]["scalix"]["category"]) == (400, "bad_request")
    assert words in quoted.text
    assert (mallory.used(), len(provider.asked) - seen) == ((1, 0), 1)
    # Then the same words from the provider alone are still about the account
    assert mallory.ask(OPENAI).status_code == 503
    assert mallory.used() == (1, 0)


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
def test_what_a_client_has_named_and_can_not_be_fetched_is_its_own_mistake_and_counted(
    http: httpx.Client, provider: Provider, path: str
) -> None:
    url = "https://no-such-host-4711.example.com/x.png"
    image: dict[str, Any] = {"type": "image_url", "image_url": {"url": url}}
    if path == "/v1/messages":
        image = {"type": "image", "source": {"type": "url", "url": url}}
    mallory, seen = Caller(http, "all-models"), len(provider.asked)
    answer = mallory.ask(GEMINI, path, messages=[{"role": "user", "content": [image]}])
    assert (answer.status_code, len(provider.asked) - seen) == (400, 0), answer.text
    assert "was not sent" in answer.json()["error"]["message"]
    usage = http.get("/user/info", params={"user_id": mallory.name}).json()["usage"]
    assert usage["requests_today"] == 1
