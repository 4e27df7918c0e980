"""The hooks that LiteLLM calls. Under the edge they report; in plain mode they admit and settle too."""

import logging
from collections.abc import Mapping
from typing import Any

from fastapi import Request
from litellm.integrations.custom_logger import CustomLogger
from litellm.proxy._types import UserAPIKeyAuth
from litellm.types.utils import CallTypes

from scalix.domain.errors import InvalidApiKey
from scalix.domain.failures import REFUSALS
from scalix.domain.limits.quota import Outcome
from scalix.litellm_adapter import plain_mode
from scalix.litellm_adapter.bridge import ATTEMPT, EXCHANGE_ID, Services, bridge, marks_of
from scalix.litellm_adapter.chat_servers import chat_servers
from scalix.litellm_adapter.chosen_deployments import note_deployment, only_the_chosen
from scalix.litellm_adapter.developer_role import note_role
from scalix.litellm_adapter.dropped_values import dropped_values
from scalix.litellm_adapter.kept_caps import with_caps
from scalix.litellm_adapter.model_options import with_options
from scalix.litellm_adapter.provider_transport import is_unseen
from scalix.litellm_adapter.reports import failure_of, is_from_cache, report_success, reported_cost_of, usage_of
from scalix.litellm_adapter.texts_by_responses import let_know
from scalix.service.exchange.exchanges import CURRENT, Exchange

log = logging.getLogger("scalix.callbacks")

_TRANSLATED = (CallTypes.acompletion, CallTypes.completion)

_TEXT_COMPLETION = "atext_completion"  # LiteLLM's name


async def custom_auth(request: Request, api_key: str) -> UserAPIKeyAuth:
    """LiteLLM's `general_settings.custom_auth`: says who the edge said it is.

    Without the edge (plain mode) the credential is checked here.
    """
    exchange = request.scope.get("scalix")
    if isinstance(exchange, Exchange):
        return UserAPIKeyAuth(metadata=marks_of(exchange))
    services = bridge.services
    if services is None or services.under_edge:
        raise InvalidApiKey("Only the gateway's edge may call this.")
    return await plain_mode.authenticated(services, request, api_key)


class GatewayCallbacks(CustomLogger):
    """One instance per process, named in `litellm_settings.callbacks`."""

    async def async_pre_call_hook(
        self, user_api_key_dict: UserAPIKeyAuth, cache: Any, data: dict[str, Any], call_type: str
    ) -> dict[str, Any] | None:
        services = bridge.services
        if services is None or EXCHANGE_ID in user_api_key_dict.metadata:
            return None
        return await plain_mode.admitted(services, user_api_key_dict, data, call_type)

    async def async_filter_deployments(
        self, model: str, healthy_deployments: list[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        return healthy_deployments if _plain_services() else list(only_the_chosen(healthy_deployments))

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any] | None:
        exchange = CURRENT.get()
        note_deployment(kwargs)
        if exchange is not None and is_unseen(kwargs):
            exchange.attempt.unseen = True
        if exchange is not None and _plain_services():
            kwargs = plain_mode.of_the_admitted_model(exchange, kwargs)
        if exchange is not None and call_type in _TRANSLATED:
            exchange.dropped = exchange.dropped.and_(
                name
                for name in dropped_values(kwargs)
                if name not in exchange.dropped  # as in the attempt before
            )
        if getattr(call_type, "value", call_type) == _TEXT_COMPLETION:
            let_know(kwargs)
        return note_role(chat_servers.with_setting(with_caps(with_options(kwargs)), call_type))

    async def async_post_call_success_hook(
        self, data: dict[str, Any], user_api_key_dict: UserAPIKeyAuth, response: Any
    ) -> Any:
        exchange = _exchange_with(user_api_key_dict.metadata)
        if exchange is not None:
            exchange.attempt.usage = usage_of(response, data.get("service_tier")) or exchange.attempt.usage
            exchange.attempt.cost_nano_usd = reported_cost_of(response)
            exchange.attempt.cache_hit = is_from_cache(response)
        return response

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        exchange = _exchange_of(kwargs)
        if exchange is None:
            return
        report_success(exchange, kwargs, response_obj)
        if services := _plain_services():
            await services.settlement.settle(exchange, exchange.ended(Outcome.SUCCESS))

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, start_time: Any, end_time: Any) -> None:
        exchange = _exchange_of(kwargs)
        if exchange is not None and kwargs.get("exception") is not None:
            exchange.attempt.failures.append(failure_of(kwargs["exception"]))

    async def async_post_call_failure_hook(
        self,
        request_data: dict[str, Any],
        original_exception: Exception,
        user_api_key_dict: UserAPIKeyAuth,
        traceback_str: str | None = None,
    ) -> None:
        exchange = _exchange_with(user_api_key_dict.metadata)
        if exchange is None:
            return
        failure = failure_of(original_exception)
        if exchange.attempt.failures[-1:] != [failure]:  # the last attempt's has been reported by its own event
            exchange.attempt.failures.append(failure)
        exchange.attempt.reported.set()
        refused = failure.error_class in REFUSALS
        if services := _plain_services():
            outcome = Outcome.PROVIDER_REFUSED if refused else Outcome.PROVIDER_FAILED
            await plain_mode.settle_failed(services.settlement, exchange, outcome)


def _exchange_with(metadata: Mapping[str, Any] | None) -> Exchange | None:
    """The exchange that a call of LiteLLM's belongs to; `None` for a call of an attempt that is given up."""
    services = bridge.services
    if services is None or not metadata:
        return None
    exchange = services.exchanges.get(str(metadata.get(EXCHANGE_ID)))
    if exchange is None or metadata.get(ATTEMPT, exchange.attempt.number) != exchange.attempt.number:
        return None
    return exchange


def _exchange_of(kwargs: Mapping[str, Any]) -> Exchange | None:
    params = kwargs.get("litellm_params") or {}
    for name in ("metadata", "litellm_metadata"):
        exchange = _exchange_with((params.get(name) or {}).get("user_api_key_metadata"))
        if exchange is not None:
            return exchange
    return None


def _plain_services() -> Services | None:
    """The services where the hooks settle, since there is no edge."""
    services = bridge.services
    return None if services is None or services.under_edge else services


gateway_callbacks = GatewayCallbacks()
