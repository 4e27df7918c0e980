"""Has LiteLLM build a request of the Responses API as its router has it sent, and sends nothing."""

import inspect
from functools import partial
from typing import Any

import orjson

from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.chat_servers import BY_RESPONSES, chat_servers
from scalix.litellm_adapter.direct_client import DirectRequest
from scalix.litellm_adapter.model_options import with_options
from scalix.litellm_adapter.providers import provider_of
from scalix.litellm_adapter.request_building import Silent, caught_request
from scalix.service.exchange.attempts import Attempt

_GENERIC = "_ageneric_api_call_with_fallbacks"  # by this the router knows calls that are no chat completions


async def built_response(router: Any, deployment: dict[str, Any], body: dict[str, Any]) -> DirectRequest | None:
    """The request that LiteLLM would send for `body` to `deployment`, an entry of the list of its `router`; `None` if
    it has to ask itself: by chat completions, by several calls, or as one that does not stream."""
    from litellm.responses.main import responses
    from litellm.router_utils.common_utils import provider_for_generic_call

    params = deployment["litellm_params"]
    routed = dict(body)
    router._update_kwargs_with_deployment(deployment=deployment, kwargs=routed, function_name=_GENERIC)
    kwargs = {**params, **routed, "model": params["model"], "litellm_logging_obj": Silent(), "aresponses": True}
    if (provider := provider_for_generic_call(params)) is not None:
        kwargs["custom_llm_provider"] = provider
    kwargs = chat_servers.with_setting(with_options(kwargs), BY_RESPONSES)
    request = await caught_request(lambda: _by_one_call(inspect.unwrap(responses)(**kwargs)), Route.RESPONSES)
    if request is None or (body.get("stream") and orjson.loads(request.content).get("stream") is not True):
        return None
    return request


def _by_one_call(answer: Any) -> Any:
    """What LiteLLM is about to do for an answer, if it is to ask the provider's own `/responses` and nothing else.
    Nothing of it has begun yet. Raises `TypeError`."""
    from litellm.llms.custom_httpx.llm_http_handler import BaseLLMHTTPHandler

    if getattr(answer, "cr_code", None) is BaseLLMHTTPHandler.async_response_api_handler.__code__:
        return answer
    if inspect.iscoroutine(answer):
        answer.close()
    raise TypeError("LiteLLM asks in another way")


def note_keeper(attempt: Attempt, deployment: dict[str, Any]) -> None:
    """Note by what id an answer of this deployment is found again, if it is kept there: as LiteLLM writes it."""
    _, provider = provider_of(deployment["litellm_params"])
    attempt.kept_id = partial(_kept_id, provider, {"model_info": deployment.get("model_info") or {}})


def _kept_id(provider: str, metadata: dict[str, Any], ident: str) -> str:
    from litellm.responses.utils import ResponsesAPIRequestUtils

    named: dict[str, Any] = ResponsesAPIRequestUtils.update_responses_api_response_id_with_model_id(
        {"id": ident}, custom_llm_provider=provider, litellm_metadata=metadata
    )
    return str(named["id"])
