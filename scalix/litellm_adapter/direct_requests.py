"""What the direct engine needs of LiteLLM: the request for a provider, and the client that sends it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import httpx
import orjson

from scalix.domain.answers.plain_deltas import Group
from scalix.domain.bounded import Bounded
from scalix.domain.json_values import listed
from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.direct_client import DirectClient, DirectRequest
from scalix.litellm_adapter.kept_builds import KeptBuilds
from scalix.litellm_adapter.known_fields import filled
from scalix.litellm_adapter.provider_calls import Answered, ProviderCall
from scalix.litellm_adapter.request_building import SIGNED, built_request, without_signatures
from scalix.litellm_adapter.response_requests import built_response, note_keeper
from scalix.litellm_adapter.wire import Came, own_headers
from scalix.service.exchange.exchanges import Exchange

_TAKES_TOKENS = frozenset({"openai", "hosted_vllm"})
# What LiteLLM changes for some deployments: system messages, and roles that do not alternate.
_PROBE = [{"role": role, "content": "x"} for role in ("assistant", "system", "user", "user", "assistant")]
_MOST_KNOWN = 4_096
_MOST_REDIRECTS = 5
_SAME_AGAIN = (307, 308)  # what is asked elsewhere as it was asked here
_REDIRECTS, _BAD_GATEWAY = range(300, 400), 502


class DirectRequests:
    """Builds and sends the requests of one process, and has their answers read."""

    def __init__(self) -> None:
        self._kept = KeptBuilds()
        self._passes: Bounded[tuple[str, str], bool] = Bounded(_MOST_KNOWN)  # by model and deployment
        self._deployment = lru_cache(maxsize=_MOST_KNOWN)(deployment_of)
        self._client: DirectClient | None = None

    async def open(self) -> None:
        """Take LiteLLM's client: its pool, certificates and proxies. Call it on the loop that serves, once LiteLLM has
        made its session."""
        from litellm.llms.openai.common_utils import BaseOpenAILLM
        from litellm.proxy import proxy_server

        client = BaseOpenAILLM.get_async_http_client(shared_session=proxy_server.shared_aiohttp_session)
        self._client = DirectClient(client) if client is not None else None

    async def build(self, exchange: Exchange, body: dict[str, Any]) -> DirectRequest | None:
        """The request for the model of the exchange's attempt; `None` where LiteLLM has to ask."""
        model, chosen = exchange.attempt.model, exchange.attempt.deployment_id
        deployment = self._deployment(model, chosen)
        if deployment is None:
            return None
        if exchange.admission.route is Route.RESPONSES:
            note_keeper(exchange.attempt, deployment)
            return await built_response(_router(), deployment, body)
        params = deployment["litellm_params"]
        provider = params.get("custom_llm_provider") or params["model"].partition("/")[0]
        route = exchange.admission.route
        if route is Route.EMBEDDINGS and provider not in _TAKES_TOKENS and _has_tokens(body):
            return None  # LiteLLM makes a text of them
        if SIGNED in exchange.attempt.written and "messages" in body:
            body = {**body, "messages": without_signatures(body["messages"], params)}
        key, field = None, route.row.content
        if route is not Route.EMBEDDINGS:
            key = self._kept.key(chosen or model, provider, body, exchange.admission.offer.options, field)
        if key is not None and (kept := self._kept.get(key)) is not None:
            _note_left_out(exchange, kept.left_out)
            return kept.request(body[field])
        deployment = _as_routed(deployment, body)
        if key is not None and route is Route.CHAT and not await self._passes_messages_on((model, chosen), deployment):
            key = None
        built = await built_request(deployment, orjson.loads(orjson.dumps(body)), route)  # which it changes in place
        if built is None:
            return None
        request, left_out = built
        _note_left_out(exchange, left_out)
        if key is not None:
            self._kept.put(key, request, body[field], left_out)
        return request

    async def _passes_messages_on(self, name: tuple[str, str], deployment: dict[str, Any]) -> bool:
        """Whether LiteLLM sends plain messages of all roles, in any order, to this deployment as they are."""
        if name not in self._passes:
            built = await built_request(deployment, {"messages": [dict(message) for message in _PROBE]}, Route.CHAT)
            self._passes[name] = built is not None and orjson.loads(built[0].content).get("messages") == _PROBE
        return self._passes[name]

    async def ask(self, exchange: Exchange, request: DirectRequest) -> tuple[int, bytes | AsyncIterator[Group]]:
        """Send it. The status of the answer, and its body, or the events of its stream that came together. Raises
        `httpx.TransportError`."""
        request = replace(request, own=own_headers(exchange))
        answered = await self._answered(exchange, request)
        for _ in range(_MOST_REDIRECTS):
            if isinstance(answered, Answered) or not _is_moved(answered):
                break
            await answered.aclose()
            request = request.moved(answered.headers["location"])
            answered = await self._answered(exchange, request)
        if not isinstance(answered, Answered):
            if answered.status_code in _REDIRECTS:  # it leads nowhere, and is no answer
                await answered.aclose()
                return _BAD_GATEWAY, b""
            return answered.status_code, await answered.aread()
        return answered.status, answered.body if isinstance(answered.body, bytes) else answered.body.groups()

    async def _answered(self, exchange: Exchange, request: DirectRequest) -> Answered | Came:
        if self._client is None:
            raise httpx.ConnectError("there is no client yet")
        return await ProviderCall(exchange, request).answer(partial(self._client.send, request))


def _is_moved(came: Came) -> bool:
    """Whether the host wants to be asked elsewhere: what leads to another one is an error by now."""
    return came.status_code in _SAME_AGAIN and came.has_redirect_location


def _note_left_out(exchange: Exchange, names: tuple[str, ...]) -> None:
    exchange.dropped = exchange.dropped.and_(name for name in names if name not in exchange.dropped)


def _has_tokens(body: dict[str, Any]) -> bool:
    """Whether what is to be embedded are texts as lists of tokens."""
    texts = listed(body.get("input"))
    return bool(texts) and isinstance(texts[0], list)


def deployment_of(model: str, chosen: str) -> dict[str, Any] | None:
    """The deployment of a model that is `chosen`, or its only one; `None` if LiteLLM does not know it."""
    router = _router()
    deployments = router.get_model_list(model_name=model) if router is not None else None
    if deployments is not None and chosen:
        deployments = [one for one in deployments if one["model_info"]["id"] == chosen]
    if deployments is None or len(deployments) != 1:
        return None
    return {**deployments[0], "litellm_params": filled(deployments[0]["litellm_params"], model)}


def _as_routed(deployment: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """The deployment with what LiteLLM's router makes of its settings for a request."""
    router = _router()
    params = router._deployment_params_with_request_reasoning_override(deployment["litellm_params"], body)
    timeout_s = router._get_timeout(kwargs=body, data=params)
    return {**deployment, "litellm_params": {**params, "timeout": timeout_s, "stream_timeout": None}}


def _router() -> Any:
    from litellm.proxy import proxy_server

    return proxy_server.llm_router
