"""Plain mode: what the hooks have to do where there is no edge, for chat completions. They know the caller, refuse
what steers LiteLLM, admit, and see to it that every admitted request is settled, whether LiteLLM reports on it or not.

LiteLLM reports nothing of a call with `"no-log": true`, nor of a stream whose client leaves before it begins.
"""

import asyncio
import logging
import secrets
import time
from functools import partial
from typing import Any

from fastapi import HTTPException, Request
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.common_utils.http_parsing_utils import read_request_body

from scalix.domain.error_statuses import status_of
from scalix.domain.errors import BadRequest, GatewayError, InvalidApiKey, ModelNotAllowed, RouteNotFound
from scalix.domain.faults import shown_fault
from scalix.domain.identity.addresses import is_sent_from_here
from scalix.domain.limits.quota import Outcome
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.usage import Usage
from scalix.litellm_adapter.bridge import EXCHANGE_ID, Services
from scalix.litellm_adapter.plain_callers import PlainCallers
from scalix.service.exchange.calls import Call
from scalix.service.exchange.endings import Use
from scalix.service.exchange.exchanges import CURRENT, Exchange
from scalix.service.exchange.settlement import Settlement
from scalix.service.identity.identity import Credential
from scalix.store.connection.background import in_background

log = logging.getLogger("scalix.callbacks")

# After the last byte of an answer, LiteLLM's report on it; it comes by a queue.
REPORT_WAIT_S = 5.0
_CALLER = "scalix_plain_caller"
_SERVED, _LISTS = ("/v1/chat/completions", "/chat/completions"), ("/v1/models", "/models")
# Of a deployment: what LiteLLM asks in its place, without a word to its router.
_OTHER_MODELS = ("fallbacks", "context_window_fallback_dict", "model_list")
# Timeouts, tags, retries and callbacks switched off: what only the operator may say.
_STEERING_HEADERS = (b"x-litellm-", b"x-scalix-")

_callers = PlainCallers()
_ending: set[asyncio.Task[None]] = set()


async def authenticated(services: Services, request: Request, api_key: str) -> UserAPIKeyAuth:
    """Who asks. Refuses a body that steers LiteLLM, before it has put its own into it."""
    try:
        address = request.client.host if request.client else ""
        here = partial(is_sent_from_here, address, request.scope["headers"])
        credential = Credential(api_key.removeprefix("Bearer ").strip(), address, here)
        caller = await services.identity.authenticate(credential)
        path = request.scope.get("path", "").removeprefix(request.scope.get("root_path") or "")
        if path not in _SERVED:
            if not caller.may_name_users and path not in _LISTS:
                raise RouteNotFound("Without the gateway's edge only /v1/chat/completions and /v1/models are served.")
            return UserAPIKeyAuth()
        for name in request.query_params:  # by which LiteLLM takes a model and a version of a provider's API
            raise BadRequest(
                "Without the gateway's edge a request has no query. Put the model into the body.", name[:100]
            )
        headers = request.scope["headers"]  # the list that LiteLLM's own view of them goes by
        headers[:] = [item for item in headers if not item[0].startswith(_STEERING_HEADERS)]
        body = await read_request_body(request)
        if isinstance(body, dict):  # LiteLLM has its own words for what is none
            services.check(body)
    except GatewayError as error:
        raise _http(error) from None
    return UserAPIKeyAuth(metadata={_CALLER: _callers.ticket_of(caller)})


async def admitted(services: Services, auth: UserAPIKeyAuth, data: dict[str, Any], call_type: str) -> dict[str, Any]:
    """The same admission as under the edge, for chat completions; other calls are refused."""
    if call_type not in ("completion", "acompletion"):
        raise HTTPException(404, "Without the gateway's edge only /v1/chat/completions is served.")
    try:
        holder = _callers.get(auth.metadata.get(_CALLER))
        if holder is None:
            raise InvalidApiKey("The request was not authenticated by the gateway.")
        caller = await services.identity.charged_caller(holder, data)
        exchange = await services.admission.admit(caller, Call(secrets.token_hex(16), Route.CHAT, data))
    except GatewayError as error:
        raise _http(error) from None
    CURRENT.set(exchange)  # so that what the provider answers is seen
    exchange.attempt.on_open = partial(_note_begun, exchange)
    auth.metadata[EXCHANGE_ID] = exchange.admission.request_id
    for name in ("metadata", "litellm_metadata"):
        inner = (data.get(name) or {}).get("user_api_key_metadata")
        if isinstance(inner, dict):
            inner[EXCHANGE_ID] = exchange.admission.request_id
    serving = asyncio.current_task()
    if serving is not None:  # it is over when the answer has gone out, or there is nobody to take it
        serving.add_done_callback(lambda _: _end(services.settlement, exchange))
    return data


def of_the_admitted_model(exchange: Exchange, kwargs: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a call to a deployment, without what would have another model asked. Raises `ModelNotAllowed`
    where one is: what was admitted, and is charged, is the model of the request."""
    model = exchange.admission.model
    for name in ("metadata", "litellm_metadata"):
        group = (kwargs.get(name) or {}).get("model_group")
        if group not in (None, model):
            raise ModelNotAllowed(f"'{model}' was admitted, and no other model is asked in its place.")
    return {name: value for name, value in kwargs.items() if name not in _OTHER_MODELS}


def _note_begun(exchange: Exchange) -> None:
    exchange.first_token_s = time.monotonic()


async def settle_failed(settlement: Settlement, exchange: Exchange, outcome: Outcome) -> None:
    """Settle an exchange that LiteLLM reports as failed: what the provider had stated or begun by then is charged."""
    if exchange.attempt.seen.answered_whole or exchange.first_token_s is not None:
        outcome = Outcome.PROVIDER_BROKE
    if (failure := exchange.attempt.failure) is not None:
        exchange.note_failure(failure.error_class)
    await settlement.settle(exchange, exchange.ended(outcome, Use(_usage_of(exchange))))


def _usage_of(exchange: Exchange) -> Usage | None:
    return exchange.attempt.usage or exchange.attempt.seen.usage


def _end(settlement: Settlement, exchange: Exchange) -> None:
    if exchange.ending is None:
        task = in_background(settle_unreported(settlement, exchange))
        _ending.add(task)
        task.add_done_callback(_ending.discard)


async def settle_unreported(settlement: Settlement, exchange: Exchange, wait_s: float = REPORT_WAIT_S) -> None:
    """Settle an exchange that nobody is served by any more, by what is known `wait_s` seconds from now."""
    try:
        async with asyncio.timeout(wait_s):
            await exchange.attempt.reported.wait()
    except TimeoutError:
        usage = _usage_of(exchange)
        outcome = Outcome.CLIENT_LEFT if usage is None else Outcome.SUCCESS
        try:
            await settlement.settle(exchange, exchange.ended(outcome, Use(usage)))
        except Exception as fault:
            log.error("request %s could not be settled: %s", exchange.admission.request_id, shown_fault(fault))


def _http(error: GatewayError) -> HTTPException:
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    return HTTPException(status_of(error), error.message, headers=headers)
