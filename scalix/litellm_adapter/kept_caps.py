"""The output cap reaches the provider, or the call fails: a limit is held by it.

A fallback may leave out settings that its model does not know (`drop_params`). LiteLLM counts the cap among them, under
the name that the client has used: of `max_completion_tokens`, ten of its providers know nothing.
"""

import logging
from typing import Any

from litellm import get_supported_openai_params

CAPS = ("max_tokens", "max_completion_tokens")

log = logging.getLogger("scalix.provider")


def with_caps(kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call to a deployment, for which nothing may be left out if that would be the cap."""
    if not kwargs.get("drop_params"):
        return kwargs
    caps = [name for name in CAPS if kwargs.get(name) is not None]
    known = _known_to(str(kwargs.get("model")), kwargs.get("custom_llm_provider"))
    return kwargs if all(name in known for name in caps) else {**kwargs, "drop_params": False}


def _known_to(provider_model: str, provider: Any) -> list[str]:
    try:
        return get_supported_openai_params(provider_model, provider) or []
    except Exception as error:
        log.debug("what %s knows is not to be had: %s", provider_model, type(error).__name__)
        return []
