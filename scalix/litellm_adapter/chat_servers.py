"""Servers of OpenAI's format that have no `/responses`: requests of the Responses API go to them as chat completions,
as LiteLLM's `use_chat_completions_api` has it. Which they are is found out by asking, and remembered for a while; what
may be the fault of one request is not remembered.
"""

import time
from collections.abc import Callable
from typing import Any

from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.wire import Sent
from scalix.service.exchange.attempts import ProviderError
from scalix.service.exchange.exchanges import CURRENT, Exchange

REMEMBERED_S = 600.0
_MOST_REMEMBERED = 1_000
_NO_SUCH_PATH = frozenset({404, 405})
# These say that the path is there, and the model is not.
_OF_THE_MODEL = "model_not_found"
BY_RESPONSES = "aresponses"
_SETTING = "use_chat_completions_api"


class ChatServers:
    """The deployments that are asked by chat completions, each by its address and model. `clock` is monotonic."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until_s: dict[tuple[str, str], float] = {}

    def with_setting(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any]:
        """The arguments of a call to a deployment, by chat completions if its server has nothing else."""
        if getattr(call_type, "value", call_type) != BY_RESPONSES:
            return kwargs  # which may be LiteLLM's own, by chat completions
        exchange = CURRENT.get()
        base = kwargs.get("api_base") or kwargs.get("base_url")
        if exchange is None or exchange.admission.route is not Route.RESPONSES or not base or kwargs.get(_SETTING):
            return kwargs
        exchange.attempt.deployment = at = (str(base), str(kwargs.get("model")))
        if exchange.by_chat != at and self._until_s.get(at, 0.0) <= self._clock():
            return kwargs
        return {**kwargs, _SETTING: True}

    def learn(self, exchange: Exchange, request: Sent, error: ProviderError) -> None:
        """Take note of a refusal of the provider. Where a request names what is kept, a 404 may be of that; where it
        has ids that need not be there, this request alone goes on without them."""
        at = exchange.attempt.deployment
        if at is None or error.status not in _NO_SUCH_PATH:
            return
        if not request.url.path.endswith("/responses"):
            self._until_s.pop(at, None)  # it does not know these either
        elif not exchange.admission.call.named.any and _OF_THE_MODEL not in error.kind:
            exchange.attempt.asks_anew, exchange.by_chat = True, at
            if not exchange.admission.call.named.ids:
                if len(self._until_s) >= _MOST_REMEMBERED:
                    self._until_s.clear()
                self._until_s[at] = self._clock() + REMEMBERED_S


chat_servers = ChatServers()
