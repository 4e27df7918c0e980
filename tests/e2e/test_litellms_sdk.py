"""LiteLLM's SDK as a client of the gateway, by the ways in which people name one, charged as the provider counts."""

import secrets
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import Gateway
from tests.e2e.test_keys import MODEL, key_of

NewUser = Callable[..., str]
TOOL = {
    "type": "function",
    "function": {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}


@pytest.fixture
def litellm(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    return litellm


@pytest.mark.parametrize("provider", ["openai", "litellm_proxy", "hosted_vllm"])
def test_litellms_sdk_works_whichever_provider_it_takes_the_gateway_for(
    litellm: Any,
    gateway: Gateway,
    http: httpx.Client,
    new_user: NewUser,
    marker: str,
    demo_server: DemoServer,
    provider: str,
) -> None:
    key = key_of(http, user_id=new_user("premium"))
    to: dict[str, Any] = {"model": f"{provider}/{MODEL}", "api_base": f"{gateway.url}/v1", "api_key": key["key"]}
    messages = [{"role": "user", "content": f"{marker} [[demo words=5]]"}]
    whole = litellm.completion(**to, messages=messages, seed=1)
    assert whole.choices[0].message.content
    chunks = list(litellm.completion(**to, messages=messages, stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == whole.choices[0].message.content
    question = [{"role": "user", "content": f"{marker} How is the weather?"}]
    called = litellm.completion(**to, messages=question, tools=[TOOL], tool_choice="required")
    assert called.choices[0].message.tool_calls[0].function.name == "weather"
    asked = demo_server.requests(contains=marker, settled=3)
    info = http.get("/key/info", params={"key": key["token"]}).json()["info"]
    assert info["requests"] == len(asked) == 3
    assert info["tokens"] == sum(entry["prompt_tokens"] + entry["completion_tokens"] for entry in asked)


def test_litellms_sdk_reads_responses_messages_and_our_errors(
    litellm: Any, gateway: Gateway, http: httpx.Client, new_user: NewUser
) -> None:
    key = key_of(http, user_id=new_user("free"))["key"]
    openais: dict[str, Any] = {"api_base": f"{gateway.url}/v1", "api_key": key}
    assert litellm.responses(model=f"openai/{MODEL}", input="hello", **openais).output
    anthropics: dict[str, Any] = {"api_base": gateway.url, "api_key": key, "max_tokens": 50}
    said = litellm.completion(model=f"anthropic/{MODEL}", messages=[{"role": "user", "content": "hello"}], **anthropics)
    assert said.choices[0].message.content
    for model, shown, status in (
        (MODEL, f"sk-{secrets.token_hex(16)}", 401),
        ("no-such-model", key, 404),
        ("gpt-4", key, 403),
    ):
        with pytest.raises(Exception, match=r"not|key") as caught:
            litellm.completion(
                model=f"openai/{model}",
                messages=[{"role": "user", "content": "x"}],
                max_retries=0,
                **{**openais, "api_key": shown},
            )
        assert getattr(caught.value, "status_code", None) == status
