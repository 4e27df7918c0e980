"""What a model is said not to know is what LiteLLM itself fails at, over providers of many formats."""

from typing import Any

import litellm
import pytest
from litellm.exceptions import UnsupportedParamsError
from litellm.utils import get_optional_params, get_optional_params_embeddings

from scalix.domain.requests.model_fields import Known, refusal_of_unknown, told
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.dropped_values import dropped_values
from scalix.litellm_adapter.known_fields import filled, of_deployment

VALUES: dict[str, Any] = {
    "functions": [{"name": "f", "parameters": {}}],
    "temperature": 1,
    "top_p": 0.5,
    "n": 2,
    "stop": ["x"],
    "modalities": ["text", "audio"],
    "prediction": {"type": "content", "content": "x"},
    "audio": {"voice": "a", "format": "wav"},
    "presence_penalty": 0.5,
    "frequency_penalty": 0.5,
    "logit_bias": {"1": 1},
    "response_format": {"type": "json_object"},
    "seed": 1,
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "logprobs": True,
    "top_logprobs": 2,
    "reasoning_effort": "low",
    "service_tier": "flex",
    "prompt_cache_key": "k",
    "safety_identifier": "s",
    "verbosity": "low",
    "store": True,
}
MODELS = [
    *(
        "openai/scalix-engine",
        "openai/gpt-4",
        "openai/gpt-5",
        "openai/o3",
        "anthropic/claude-x",
        "gemini/gemini-2.5-pro",
    ),
    *("deepseek/deepseek-chat", "openrouter/deepseek/deepseek-chat", "ollama_chat/llama3", "groq/llama3"),
    *("mistral/mistral-large", "hosted_vllm/x", "cohere_chat/command-r", "bedrock/anthropic.claude-v2", "xai/grok-3"),
    *("together_ai/meta-llama/x", "perplexity/sonar", "fireworks_ai/x", "azure/x", "zai/glm-4.6"),
]


def deployment(model: str, route: Route = Route.CHAT, **more: Any) -> Known:
    return of_deployment({"model": model, "api_key": "k", **more}, route)


def fails(model: str, **fields: Any) -> bool:
    """Whether LiteLLM refuses to ask the model."""
    name, provider, _, _ = litellm.get_llm_provider(model)
    try:
        get_optional_params(model=name, custom_llm_provider=provider, **fields)
    except UnsupportedParamsError:
        return True
    except Exception:
        return False  # of the value
    return False


@pytest.mark.parametrize("model", MODELS)
def test_a_field_is_unknown_exactly_where_litellm_fails_at_it(model: str) -> None:
    known = deployment(model)
    for name, value in VALUES.items():
        assert (name in known.unknown) == fails(model, **{name: value}) or _by_value(model, name), name


def _by_value(model: str, name: str) -> bool:
    """Known, but not with every value: LiteLLM's own error is told then."""
    name_known = name not in deployment(model).unknown
    return name_known and name in ("tools", "functions", "tool_choice", "reasoning_effort", "temperature", "n")


BY_VALUE: dict[str, list[Any]] = {
    **{name: [value] for name, value in VALUES.items()},
    "temperature": [0, 0.2, 1],
    "reasoning_effort": ["none", "minimal", "low", "high", "xhigh"],
    "tool_choice": ["none", "auto", "required"],
    "parallel_tool_calls": [False, True],
}


def leaves_out(call: dict[str, Any], field: str, value: Any) -> bool:
    """Whether LiteLLM makes the same of a call with and without a field."""
    try:
        return bool(get_optional_params(**call) == get_optional_params(**call, **{field: value}))
    except Exception:
        return False  # LiteLLM says itself what is wrong with it


# What LiteLLM leaves out whether it may or not.
NEVER_SENT = {
    ("ollama_chat/llama3", "tool_choice"),
    ("cohere_chat/command-r", "tool_choice"),
    ("anthropic/claude-x", "response_format"),
    ("anthropic/claude-opus-4-6", "reasoning_effort"),
}


@pytest.mark.parametrize(
    "model", [*MODELS, "openai/gpt-5.1", "azure/gpt-5", "azure/o3-mini", "bedrock/converse/amazon.nova-pro-v1:0"]
)
def test_whatever_litellm_leaves_out_because_it_may_is_known_to_be_left_out(model: str) -> None:
    name, provider, _, _ = litellm.get_llm_provider(model)
    known = deployment(model, drop_params=True)
    for field, values in BY_VALUE.items():
        beside = {"tools": VALUES["tools"]} if field in ("tool_choice", "parallel_tool_calls") else {}
        for value in values:
            call: dict[str, Any] = {"model": name, "custom_llm_provider": provider, "drop_params": True, **beside}
            named = field in known.unknown or field in dropped_values({**call, field: value})
            assert named or not leaves_out(call, field, value) or (model, field) in NEVER_SENT, (field, value)


@pytest.mark.parametrize("model", MODELS)
def test_the_cap_has_a_name_that_the_model_knows(model: str) -> None:
    known = deployment(model)
    for cap in ("max_tokens", "max_completion_tokens"):
        body = {"model": "m", "messages": [], cap: 7}
        if refusal_of_unknown("m", body, known) is not None:
            assert fails(model, max_tokens=7)
            assert fails(model, max_completion_tokens=7)
            continue
        given = told(body, known).body
        caps = {name: value for name, value in given.items() if name.startswith("max_")}
        assert list(caps.values()) == [7]
        assert not fails(model, **caps)


def test_what_the_operator_lets_fall_never_takes_the_cap_with_it() -> None:
    known = deployment("zai/glm-4.6", drop_params=True, additional_drop_params=["max_tokens", "seed"])
    body = {"model": "m", "stop": ["x"], "seed": 1, "max_completion_tokens": 9, "logit_bias": {"1": 1}}
    given = told(body, known)
    assert refusal_of_unknown("m", body, known) is None
    assert given.body["max_tokens"] == 9
    assert "seed" in given.dropped
    assert "seed" not in given.body


def test_fields_beside_the_api_reach_only_servers_that_read_them() -> None:
    for model, base, reads in (
        ("openai/x", "http://v/v1", True),
        ("openai/gpt-4o", None, False),
        ("hosted_vllm/x", "http://v/v1", True),
        ("openrouter/a/b", None, True),
        ("anthropic/claude-x", None, False),
        ("gemini/gemini-2.5-pro", None, False),
        ("azure/x", "http://a", False),
    ):
        known = deployment(model, api_base=base)
        body = {"model": "m", "min_p": 0.1, "top_k": 5}
        given = told(body, known, ("min_p", "top_k"))
        if reads:
            assert given.body == {"model": "m", "extra_body": {"min_p": 0.1, "top_k": 5}}, model
            assert given.dropped == []
        else:
            assert given.body == {"model": "m", "top_k": 5}, model
            assert given.dropped == ["min_p"]


@pytest.mark.parametrize(
    "model", ["openai/nomic", "openai/text-embedding-3-small", "gemini/text-embedding-004", "cohere/embed"]
)
def test_what_an_embedding_model_knows_is_what_litellm_lets_through(model: str) -> None:
    name, provider, _, _ = litellm.get_llm_provider(model)
    known = deployment(model, Route.EMBEDDINGS)
    for field, value in (("dimensions", 5), ("encoding_format", "base64")):
        try:
            get_optional_params_embeddings(model=name, custom_llm_provider=provider, **{field: value})
            is_refused = False
        except UnsupportedParamsError:
            is_refused = True
        assert (field in known.unknown) == is_refused, field
    assert refusal_of_unknown("m", {"encoding_format": "base64"}, known) is None


def test_where_requests_are_not_translated_nothing_is_judged() -> None:
    assert deployment("anthropic/claude-x", Route.MESSAGES).unknown == frozenset()
    assert "stop_sequences" not in deployment("openai/x", Route.MESSAGES).unknown
    assert "context_management" in deployment("openai/x", Route.MESSAGES).unknown
    assert "reasoning" not in deployment("openai/x", Route.RESPONSES, api_base="http://v/v1").unknown
    assert "include" in deployment("anthropic/claude-x", Route.RESPONSES).unknown


def test_a_deployment_that_litellm_does_not_understand_is_not_judged() -> None:
    assert deployment("nobodys-provider/x").unknown == frozenset()


def test_of_a_deployment_of_many_models_the_asked_one_is_judged() -> None:
    def of(pattern: str, asked: str) -> Known:
        return of_deployment(filled({"model": pattern, "api_key": "k"}, asked), Route.CHAT)

    assert "presence_penalty" in of("openai/*", "openai/o3").unknown
    assert "presence_penalty" not in of("openai/*", "openai/gpt-4o").unknown
    assert "seed" in of("anthropic/*", "claude-x").unknown
    assert "seed" in of("*", "anthropic/claude-x").unknown
