"""Which deployments know the role `developer`, by their provider and address."""

from typing import Any

import pytest

from scalix.litellm_adapter.developer_role import knows_developer


@pytest.mark.parametrize(
    ("call", "knows"),
    [
        ({"model": "openai/gpt-4o"}, True),
        ({"model": "gpt-5"}, True),
        ({"model": "gpt-4o", "custom_llm_provider": "openai", "api_base": "https://api.openai.com/v1"}, True),
        ({"model": "openai/gpt-4o", "api_base": "https://eu.api.openai.com/v1"}, True),
        ({"model": "openai/gpt-4o", "base_url": "https://mine.openai.azure.com/openai/v1"}, True),
        ({"model": "azure/mine", "api_base": "https://gateway.example.com"}, True),
        ({"model": "openai/llama", "api_base": "http://127.0.0.1:8000/v1"}, False),
        ({"model": "openai/llama", "api_base": "https://openai.com.example.com/v1"}, False),
        ({"model": "openai/llama", "api_base": "https://notopenai.com/v1"}, False),
        ({"model": "openai/llama", "api_base": "http://[broken"}, False),
        ({"model": "deepseek/deepseek-chat"}, False),
        ({"model": "hosted_vllm/llama", "api_base": "http://127.0.0.1:8000/v1"}, False),
        ({"model": "anthropic/claude-3-opus"}, False),
        ({"model": "nobody-knows-this"}, False),
    ],
    ids=str,
)
def test_the_role_is_known_to_openai_and_azure(
    call: dict[str, Any], knows: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)
    assert knows_developer(call) is knows


def test_an_address_of_the_environment_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:8000/v1")
    assert not knows_developer({"model": "openai/gpt-4o"})
