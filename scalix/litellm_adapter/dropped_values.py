"""What LiteLLM leaves out of a call where the operator lets it (`drop_params`), and says to nobody: a parameter that a
model knows, with a value that it does not take."""

from functools import lru_cache
from typing import Any

from litellm.exceptions import UnsupportedParamsError
from litellm.utils import get_optional_params

from scalix.litellm_adapter.providers import provider_of

_BY_VALUE = ("temperature", "reasoning_effort", "tool_choice")
_MOST_KNOWN = 1_024


def dropped_values(kwargs: dict[str, Any]) -> list[str]:
    """The names of those in the arguments of a call to a deployment."""
    if not kwargs.get("drop_params"):
        return []
    model, provider = str(kwargs.get("model")), kwargs.get("custom_llm_provider")
    return [
        name
        for name in _BY_VALUE
        if isinstance(value := kwargs.get(name), str | int | float) and not _is_taken(model, provider, name, value)
    ]


@lru_cache(maxsize=_MOST_KNOWN)
def _is_taken(model: str, provider: str | None, name: str, value: Any) -> bool:
    # A choice among tools is judged with one.
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]
    beside: dict[str, Any] = {"tools": tools} if name == "tool_choice" else {}
    try:
        model, provider = provider_of({"model": model, "custom_llm_provider": provider})
        get_optional_params(model=model, custom_llm_provider=provider, drop_params=False, **beside, **{name: value})
    except UnsupportedParamsError:
        return False
    except Exception:
        return True  # LiteLLM will say it of the call itself
    return True
