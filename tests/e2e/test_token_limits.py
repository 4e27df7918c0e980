"""A limit of tokens can be used up: before anything is refused or cut short the prompt is counted. Against a running
gateway, in front of a provider that counts by the models' own tokenizers."""

import base64
import secrets
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from scalix.domain.tokens.families import Encoding
from scalix.litellm_adapter.tokenizers import tokenizer
from tests.cases.token_counts import COUNTS, TEXTS, prompt_of
from tests.domain.media.files import png
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import Answer, Provider, scripted, whole

LIMIT = 10_000
MOST_ANSWER_TOKENS = 50_000
GPT, OLD_GPT, PRICED, GEMINI = "count-gpt", "count-old", "count-priced", "count-gemini"
DEEPSEEK, EMBEDDING = "count-deepseek", "count-embedding"
PROVIDER_MODELS = {
    GPT: "openai/gpt-4o",
    OLD_GPT: "openai/gpt-4",
    PRICED: "openai/gpt-4o",
    GEMINI: "gemini/gemini-2.5-flash",
    DEEPSEEK: "openai/deepseek-chat",
    EMBEDDING: "openai/text-embedding-3-small",
}
COUNTED_AS = {GPT: "gpt-4o", OLD_GPT: "gpt-4", GEMINI: "gemini/gemini-2.5-flash", DEEPSEEK: "deepseek/deepseek-chat"}
MODELS = [
    {
        "model_name": name,
        "litellm_params": {
            "model": model,
            "api_base": "${TEST_PROVIDER_ROOT}" + ("/v1" if model.startswith("openai/") else ""),
            "api_key": "${TEST_PROVIDER_KEY}",
        },
        "model_info": {
            "max_output_tokens": MOST_ANSWER_TOKENS,
            "input_cost_per_token": 1e-5 if name == PRICED else 0,
            "output_cost_per_token": 0,
        },
    }
    for name, model in PROVIDER_MODELS.items()
]


def counted(path: str, body: dict[str, Any]) -> int:
    """The tokens of the prompt, as its provider counts them."""
    if "generateContent" in path or body.get("model") == "deepseek-chat":
        model = GEMINI if "generateContent" in path else DEEPSEEK
        text = _texts(body.get("contents") or body["messages"])
        return _of_copies(COUNTED_AS[model], text) + 4
    encoding: Encoding = "o200k_base" if body["model"] == "gpt-4o" else "cl100k_base"
    count = tokenizer()
    messages = body.get("messages")
    if messages is not None:
        return 3 + sum(4 + count(encoding, _texts(message["content"])) for message in messages)
    given = body.get("input") or body["prompt"]
    return sum(count(encoding, _texts(one)) for one in (given if isinstance(given, list) else [given]))


def _of_copies(model: str, text: str) -> int:
    """The recorded tokens of a text made by `prompt_of`."""
    name = next(name for name, one in TEXTS.items() if text.startswith(one[:400]))
    wholes = text.count(TEXTS[name])
    starts = text.count(TEXTS[name][:400]) - wholes
    return wholes * COUNTS[model][name][0] + starts * COUNTS[model][name][1]


def _texts(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join(map(_texts, value))
    return "".join(_texts(value[name]) for name in ("text", "content", "parts") if name in value)


def answer(path: str, body: dict[str, Any]) -> Answer:
    """One token in the format of the path."""
    prompt = counted(path, body)
    if "generateContent" in path:
        candidate = {"content": {"role": "model", "parts": [{"text": "a"}]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": prompt, "candidatesTokenCount": 1, "totalTokenCount": prompt + 1}
        return whole({"candidates": [candidate], "usageMetadata": usage})
    usage = {"prompt_tokens": prompt, "completion_tokens": 1, "total_tokens": prompt + 1}
    shape: dict[str, Any] = {"id": "c1", "created": 1, "model": body["model"], "usage": usage}
    if path.endswith("/responses"):
        part = {"type": "output_text", "text": "a", "annotations": []}
        message = {"type": "message", "id": "m", "role": "assistant", "status": "completed", "content": [part]}
        usage = {"input_tokens": prompt, "output_tokens": 1, "total_tokens": prompt + 1}
        shape |= {"id": "resp_1", "object": "response", "created_at": 1, "status": "completed", "output": [message]}
        return whole({**shape, "usage": usage, "parallel_tool_calls": True, "tools": []})
    if path.endswith("/embeddings"):
        return whole({**shape, "object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.1]}]})
    if path.endswith("/chat/completions"):
        choice = {"index": 0, "message": {"role": "assistant", "content": "a"}, "finish_reason": "stop"}
        return whole({**shape, "object": "chat.completion", "choices": [choice]})
    choice = {"index": 0, "text": "a", "finish_reason": "stop", "logprobs": None}
    return whole({**shape, "object": "text_completion", "choices": [choice]})


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with scripted(answer) as made:
        yield made


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Gateway]:
    gateway = Gateway(tmp_path_factory.mktemp("token-limits"), provider.url, models=MODELS).start()
    yield gateway
    gateway.stop()


@pytest.fixture
def http(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


class Caller:
    """A user who may have 10,000 tokens a day."""

    def __init__(self, http: httpx.Client, tier: str = "ten-thousand-tokens") -> None:
        self.http, self.name = http, f"user-{secrets.token_hex(6)}"
        assert http.post("/user/new", json={"user_id": self.name, "tier": tier}).status_code == 200

    def post(self, path: str, **body: Any) -> httpx.Response:
        return self.http.post(path, content=orjson.dumps({"user": self.name, **body}))

    def chat(self, model: str, text: Any, **more: Any) -> httpx.Response:
        return self.post("/v1/chat/completions", model=model, messages=[{"role": "user", "content": text}], **more)

    def used(self) -> int:
        limits = self.http.get("/user/limits", params={"user_id": self.name}).json()["limits"]
        return int(next(limit["used"] for limit in limits if limit["limit"] == "tokens-day"))


@pytest.mark.parametrize("model", [GPT, OLD_GPT, GEMINI, DEEPSEEK])
@pytest.mark.parametrize("name", TEXTS)
def test_95_percent_of_a_days_tokens_can_be_one_prompt_and_no_more_than_all_of_them_are_used(
    http: httpx.Client, provider: Provider, model: str, name: str
) -> None:
    caller = Caller(http)
    text, _ = prompt_of(name, LIMIT * 95 // 100, COUNTED_AS[model])
    answered = caller.chat(model, text)
    assert answered.status_code == 200, answered.text
    assert LIMIT * 95 // 100 <= caller.used() <= LIMIT
    asked = len(provider.asked)
    refused = caller.chat(model, text)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")
    assert len(provider.asked) == asked
    # What is left is used up by smaller ones, to the last that fits.
    text = TEXTS[name][:400]
    while (answered := caller.chat(model, text)).status_code == 200:
        pass
    assert answered.json()["error"]["code"] == "insufficient_quota"
    assert LIMIT - COUNTS[COUNTED_AS[model]][name][1] - 100 <= caller.used() <= LIMIT


@pytest.mark.parametrize("name", TEXTS)
def test_a_refusal_says_what_was_counted(http: httpx.Client, name: str) -> None:
    caller = Caller(http)
    text, _ = prompt_of(name, 4_948, COUNTED_AS[GPT])
    assert caller.chat(GPT, text).status_code == 200
    longer, tokens = prompt_of(name, 6_000, COUNTED_AS[GPT])
    message = caller.chat(GPT, longer).json()["error"]["message"]
    assert " and this request needs about " in message
    stated = int(message.partition("needs about ")[2].partition(".")[0])
    # Beside the text there is a least answer and what stands around it; at their seams the texts may lose a token.
    assert tokens - 20 <= stated - 16 <= tokens + 20


def test_an_answer_is_cut_short_by_what_was_counted(http: httpx.Client, provider: Provider) -> None:
    for name in TEXTS:
        text, tokens = prompt_of(name, 4_948, COUNTED_AS[GPT])
        assert Caller(http).chat(GPT, text).status_code == 200
        cap = next(value for key, value in provider.asked[-1][1].items() if key.startswith("max_"))
        assert LIMIT - tokens - 40 <= cap <= LIMIT - tokens


@pytest.mark.parametrize(
    ("path", "model", "fields"),
    [
        ("/v1/messages", GPT, lambda text: {"messages": [{"role": "user", "content": text}], "max_tokens": 20}),
        ("/v1/responses", GPT, lambda text: {"input": text}),
        ("/v1/completions", OLD_GPT, lambda text: {"prompt": text}),
        ("/v1/completions", OLD_GPT, lambda text: {"prompt": [text[:5_000], text[5_000:]], "max_tokens": 20}),
        ("/v1/embeddings", EMBEDDING, lambda text: {"input": text}),
        ("/v1/embeddings", EMBEDDING, lambda text: {"input": [text[i : i + 200] for i in range(0, len(text), 200)]}),
    ],
    ids=["messages", "responses", "completions", "two prompts", "embeddings", "many embeddings"],
)
def test_every_route_counts_what_the_estimate_would_refuse(
    http: httpx.Client, path: str, model: str, fields: Any
) -> None:
    text, tokens = prompt_of("english", 8_500, COUNTED_AS[GPT if model == GPT else OLD_GPT])
    caller = Caller(http)
    answered = caller.post(path, model=model, **fields(text))
    assert answered.status_code == 200, answered.text
    assert tokens <= caller.used() <= LIMIT
    assert caller.post(path, model=model, **fields(text)).status_code == 429


def test_tools_and_images_are_counted_beside_the_text(http: httpx.Client) -> None:
    text, _ = prompt_of("german", 7_500, COUNTED_AS[GPT])
    schema = {"type": "object", "properties": {"city": {"type": "string", "description": "where it is"}}}
    tools = [{"type": "function", "function": {"name": "weather", "parameters": schema}}]
    image = {
        "type": "image_url",
        "image_url": {"url": "data:image/png;base64," + base64.b64encode(png(64, 64)).decode()},
    }
    parts = [{"type": "text", "text": text}, image]
    assert Caller(http).chat(GPT, parts, tools=tools).status_code == 200
    refused = Caller(http).chat(GPT, [*parts, image, image, image], tools=tools)
    assert (refused.status_code, refused.json()["error"]["code"]) == (429, "insufficient_quota")


def test_a_keys_tokens_per_minute_and_a_limit_of_money_go_by_the_count_too(http: httpx.Client) -> None:
    text, tokens = prompt_of("code", LIMIT * 95 // 100, COUNTED_AS[GPT])
    caller = Caller(http, "ten-cents")
    assert caller.chat(PRICED, text).status_code == 200  # at 10 micro-dollars a token
    refused = caller.chat(PRICED, text)
    assert (refused.status_code, refused.json()["error"]["scalix"]["limit"]) == (429, "spend_usd-month")
    stated_usd = float(refused.json()["error"]["message"].partition("needs about ")[2].partition(" ")[0].rstrip("."))
    assert tokens * 1e-5 <= stated_usd <= (tokens + 30) * 1e-5
    made = http.post("/key/generate", json={"user_id": Caller(http, "roomy").name, "tpm_limit": LIMIT}).json()
    body = {"model": GPT, "messages": [{"role": "user", "content": text}]}
    answered = http.post("/v1/chat/completions", json=body, headers={"authorization": f"Bearer {made['key']}"})
    assert answered.status_code == 200, answered.text
