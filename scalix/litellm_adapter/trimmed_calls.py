"""Work that LiteLLM and OpenAI's SDK do for each call, with no effect behind the edge, and which has a seam to leave it
out. What is not where it was stays as it is, with a warning: it works all the same, only slower."""

import importlib
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from fastapi import Request
from litellm.proxy._types import UserAPIKeyAuth

from scalix.litellm_adapter.bridge import marks_of
from scalix.service.exchange.exchanges import CURRENT, Exchange

log = logging.getLogger("scalix.trimming")

Handler = Callable[..., Awaitable[Any]]

_PLAIN_LEAVES = (str, int, float, bool, type(None))
_COMPLETIONS = "openai.resources.chat.completions.completions"


def trust_the_edge() -> None:
    """Who calls is what our `custom_auth` says, without LiteLLM's own checks of keys, routes, models, budgets and
    agents around it. A caller without a key of LiteLLM's passes them anyway. Only for requests from the edge."""
    module: Any = importlib.import_module("litellm.proxy.auth.user_api_key_auth")
    for name, instead in (
        ("user_api_key_auth_builder", edge_caller),
        ("_authorize_authenticated_request", _nothing),
        ("_resolve_request_principal", None),
    ):
        own = _found(module.__name__, name)
        if own is not None:
            setattr(module, name, _without_principal(own) if instead is None else _from_edge(instead, own))


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

    router = _found("litellm.router", "Router")
    if router is not None and hasattr(router, "_increment_deployment_usage"):
        router._increment_deployment_usage = counted
    else:
        log.warning("LiteLLM counts by deployment elsewhere now: nothing to leave out")


def leave_out_cost_breakdown() -> None:
    """What reasoning and cached tokens cost by themselves, for log viewers. The cost of the answer stays."""
    breakdown = _found("litellm.litellm_core_utils.llm_cost_calc.utils", "TokenTypeCostBreakdown")
    if breakdown is not None and _found("litellm.cost_calculator", "get_token_type_cost_breakdown") is not None:
        none = breakdown(reasoning_cost=0.0, cache_read_cost=0.0, cache_creation_cost=0.0)
        importlib.import_module("litellm.cost_calculator").get_token_type_cost_breakdown = lambda **kwargs: none  # type: ignore[attr-defined]


def leave_out_rewriting() -> None:
    """OpenAI's SDK walks each request by its type hints, to find dates, files and Pydantic models in it. A body that
    came as JSON has none."""
    rewrite = _found(_COMPLETIONS, "async_maybe_transform")
    given = _found("openai._utils", "is_given")
    if rewrite is not None and given is not None:
        module: Any = importlib.import_module(_COMPLETIONS)
        module.async_maybe_transform = _rewriting(rewrite, given)


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


def _found(module: str, name: str) -> Any:
    found = getattr(importlib.import_module(module), name, None)
    if found is None:
        log.warning("LiteLLM or OpenAI's SDK has no %s any more: nothing to leave out", name)
    return found
