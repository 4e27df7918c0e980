"""Leaves out work that LiteLLM and OpenAI's SDK do for each call, and which has no effect behind the edge."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from fastapi import Request
from litellm.proxy._types import UserAPIKeyAuth

from scalix.litellm_adapter.bridge import marks_of
from scalix.litellm_adapter.seam_checks import replace, stand
from scalix.service.exchange.exchanges import CURRENT, Exchange

Handler = Callable[..., Awaitable[Any]]

_PLAIN_LEAVES = (str, int, float, bool, type(None))


def trust_the_edge() -> None:
    """Who calls is what our `custom_auth` says, without LiteLLM's own checks of keys, routes, models, budgets and
    agents around it. A caller without a key of LiteLLM's passes them anyway. Only for requests from the edge."""
    auth = "litellm.proxy.auth.user_api_key_auth"
    replace(f"{auth}:user_api_key_auth_builder", partial(_from_edge, edge_caller))
    replace(f"{auth}:_authorize_authenticated_request", partial(_from_edge, _nothing))
    replace(f"{auth}:_resolve_request_principal", _without_principal)


def _from_edge(instead: Handler, own: Handler) -> Handler:
    async def for_the_edge(*, request: Request, **kwargs: Any) -> Any:
        exchange = request.scope.get("scalix")
        if isinstance(exchange, Exchange):
            return await instead(request, exchange)
        return await own(request=request, **kwargs)

    return for_the_edge


async def edge_caller(request: Request, exchange: Exchange) -> UserAPIKeyAuth:
    """Who calls, as LiteLLM's authentication would have it from our `custom_auth`."""
    request.state.litellm_received_at = datetime.now(UTC)
    caller = UserAPIKeyAuth(metadata=marks_of(exchange))
    caller.authenticated_by_custom_auth = True
    return caller


async def _nothing(request: Request, exchange: Exchange) -> None:
    return None


def _without_principal(own: Callable[..., Any]) -> Callable[..., Any]:
    """LiteLLM's second view of a caller, for its own pages and its MCP server; an absent one is a denial there."""

    def principal(request: Request, caller: UserAPIKeyAuth) -> Any:
        return None if isinstance(request.scope.get("scalix"), Exchange) else own(request, caller)

    return principal


def leave_out_deployment_counts() -> None:
    """Tokens and requests a minute by deployment, which only routing by them reads. LiteLLM looks up the deployment
    twice for each request, to find that it has no such limits."""

    async def counted(self: Any, **kwargs: Any) -> None:
        return None

    replace("litellm.router:Router._increment_deployment_usage", lambda own: counted)


def leave_out_cost_breakdown() -> None:
    """What reasoning and cached tokens cost by themselves, for log viewers. The cost of the answer stays."""
    if stand("litellm.litellm_core_utils.llm_cost_calc.utils:TokenTypeCostBreakdown"):
        from litellm.litellm_core_utils.llm_cost_calc.utils import TokenTypeCostBreakdown

        none = TokenTypeCostBreakdown(reasoning_cost=0.0, cache_read_cost=0.0, cache_creation_cost=0.0)
        replace("litellm.cost_calculator:get_token_type_cost_breakdown", lambda own: lambda **kwargs: none)


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
