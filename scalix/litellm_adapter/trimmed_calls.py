"""Leaves out work that LiteLLM and OpenAI's SDK do for each call, and which has no effect behind the edge."""

from collections.abc import Awaitable, Callable
from typing import Any

from scalix.litellm_adapter.seam_checks import replace, stand
from scalix.service.exchange.exchanges import CURRENT

_PLAIN_LEAVES = (str, int, float, bool, type(None))


def leave_out_deployment_counts() -> None:
    """Tokens and requests a minute by deployment, which only routing by them reads. LiteLLM looks up the deployment
    twice for each request, to find that it has no such limits."""

    async def counted(self: Any, **kwargs: Any) -> None:
        return None

    replace("litellm.router:Router._increment_deployment_usage", lambda own: counted)


def leave_out_rewriting() -> None:
    """OpenAI's SDK walks each request by its type hints, to find dates, files and Pydantic models in it. A body that
    came as JSON has none."""
    if stand("openai._utils:is_given"):
        from openai._utils import is_given

        place = "openai.resources.chat.completions.completions:async_maybe_transform"
        replace(place, lambda own: _rewriting(own, is_given))


def _rewriting(
    rewrite: Callable[[Any, Any], Awaitable[Any]], is_given: Callable[[Any], bool]
) -> Callable[[Any, Any], Awaitable[Any]]:
    async def async_maybe_transform(data: Any, expected_type: Any) -> Any:
        if CURRENT.get() is None or type(data) is not dict:
            return await rewrite(data, expected_type)
        body = {key: value for key, value in data.items() if is_given(value)}
        return body if is_json(body) else await rewrite(data, expected_type)

    return async_maybe_transform


def is_json(value: Any) -> bool:
    """Whether JSON holds `value` as it is."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        kind = type(one)
        if kind is dict:
            waiting.extend(one.values())
        elif kind is list:
            waiting.extend(one)
        elif kind not in _PLAIN_LEAVES:
            return False
    return True
