"""Which of LiteLLM's providers a deployment is asked through."""

from collections.abc import Mapping
from typing import Any


def provider_of(params: Mapping[str, Any]) -> tuple[str, str]:
    """The model and its provider, as LiteLLM calls them, of a deployment or of a call with these parameters. Raises
    what LiteLLM raises of a model that it can't place."""
    import litellm

    base = params.get("api_base") or params.get("base_url")
    own = params.get("custom_llm_provider")
    model, provider, *_ = litellm.get_llm_provider(str(params.get("model")), custom_llm_provider=own, api_base=base)
    return model, provider
