"""How the models that a caller may use are told: in OpenAI's, Anthropic's and LiteLLM's shapes.

Of who serves them, and at what price, nothing is told.
"""

from collections.abc import Sequence
from typing import Any

from scalix.domain.policy import Model

_BEGAN = "1970-01-01T00:00:00Z"


def openais(name: str) -> dict[str, Any]:
    """One entry of OpenAI's `GET /v1/models`."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "scalix"}


def anthropics(name: str) -> dict[str, Any]:
    """One entry of Anthropic's: https://docs.anthropic.com/en/api/models-list."""
    return {"type": "model", "id": name, "display_name": name, "created_at": _BEGAN}


def listed(names: Sequence[str], *, anthropic: bool) -> dict[str, Any]:
    """All of them, which are never so many that a page would not hold them."""
    if not anthropic:
        return {"object": "list", "data": [openais(name) for name in names]}
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return {"data": [anthropics(name) for name in names], "has_more": False, **ends}


def litellms(model: Model) -> dict[str, Any]:
    """One entry of LiteLLM's `GET /model/info`."""
    info = {"id": model.name, "db_model": False, "key": model.name, **_facts(model)}
    return {"model_name": model.name, "litellm_params": {"model": model.name}, "model_info": info}


def litellms_group(model: Model) -> dict[str, Any]:
    """One entry of LiteLLM's `GET /model_group/info`."""
    return {"model_group": model.name, "providers": ["scalix"], **_facts(model)}


def _facts(model: Model) -> dict[str, Any]:
    return {
        "mode": model.mode or "chat",
        "max_tokens": model.max_output_tokens,
        "max_input_tokens": model.max_input_tokens,
        "max_output_tokens": model.max_output_tokens,
        "supports_reasoning": model.thinks,
    }
