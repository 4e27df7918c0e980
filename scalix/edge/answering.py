"""Has an admitted request asked, answered and settled."""

from collections.abc import Callable
from functools import partial
from typing import Any

from scalix.domain.errors import ModelAtLimit
from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Outcome
from scalix.domain.requests.routes import Route
from scalix.domain.requests.stream_usage import ask_for_usage, wants_usage
from scalix.domain.tokens.estimate import CHARGED_FRAME
from scalix.domain.tokens.media_tokens import Media
from scalix.edge.accounts import Account, Measures
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.edge.asgi import Receive, Scope, Send
from scalix.edge.asking import Asking
from scalix.edge.conversations import conversation_start
from scalix.edge.failover import Attempts, Fields
from scalix.edge.given_ids import GivenIds
from scalix.edge.replies import Reply
from scalix.service.exchange.candidates import Candidates, Fallbacks
from scalix.service.exchange.exchanges import Exchange
from scalix.service.exchange.hidden_work import Speeds
from scalix.service.exchange.object_ids import ObjectIds
from scalix.service.exchange.settlement import Settlement
from scalix.service.exchange.token_counting import TokenCounting


class Answering:
    """Puts together, for each request, the models that may serve it and the way back from each. `now_ms` gives Unix
    time."""

    def __init__(
        self,
        asking: Asking,
        settlement: Settlement,
        fallbacks: Fallbacks,
        counting: TokenCounting,
        ids: ObjectIds,
        now_ms: Callable[[], int],
    ) -> None:
        self._asking = asking
        self._settlement = settlement
        self._fallbacks = fallbacks
        self._counting = counting
        self._ids = ids
        self._now_ms = now_ms
        self._speeds = Speeds()

    async def answer(
        self, exchange: Exchange, candidates: Candidates, fields: Fields, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer, and settle whatever happens. Raises `BadRequest` for a body that can't be written, `ModelAtLimit`
        where others have taken the last room since the candidates were found."""
        try:
            candidates, start = self._narrowed(exchange, candidates), partial(conversation_start, exchange, scope)
            attempts = Attempts(candidates, self._fallbacks.chooser, exchange, fields, start)
            reply_of = self._way_back(exchange, attempts, send)
            await self._asking.ask(exchange, attempts, reply_of, scope, receive)
        except ModelAtLimit:
            error = ErrorClass.PROVIDER_RATE_LIMIT
            await self._settlement.settle(exchange, exchange.ended(Outcome.PROVIDER_FAILED, error=error))
            raise
        finally:
            if exchange.ending is None:  # a fault of ours, before there was an answer that settles
                await self._settlement.settle(exchange, exchange.ended(Outcome.PROVIDER_FAILED))

    def _narrowed(self, exchange: Exchange, candidates: Candidates) -> Candidates:
        admission = exchange.admission
        serving = admission.offer.serving
        if serving is None or serving.issuperset(model.name for model in candidates.models):
            return candidates
        # The record, and maybe the tier, was another than the one cached, or there is no money for those that cost.
        return self._fallbacks.narrowed(candidates, admission.caller, serving, answers=admission.route.row.generates)

    def _way_back(self, exchange: Exchange, attempts: Attempts, send: Send) -> Callable[[str], Reply]:
        """Makes the reply of a model."""
        admission = exchange.admission
        route, body, subject = admission.route, admission.call.body, admission.caller.subject

        async def count(model: str, text: str) -> int:
            known = admission.offer.models.get(model)
            return await self._counting.count(str(subject), known.provider_model if known else model, text)

        async def count_prompt() -> int:
            media = Media((attempts.model.provider_model,))
            return (await self._counting.size(str(subject), route, body, media, frame=CHARGED_FRAME)).tokens

        def reply_of(model: str) -> Reply:
            repairs = AnswerRepairs(exchange, model, body, now_s, with_usage=with_usage, ids=ids)
            account = Account(exchange, model, self._settlement, measures)
            return Reply(exchange, model, send, account, repairs, self._now_ms)

        def now_s() -> int:
            return self._now_ms() // 1000

        measures = Measures(count, count_prompt, self._speeds, lambda: attempts.model.thinks)
        ids = GivenIds(route, give) if (give := self._ids.giver(subject)) else None
        with_usage = _ask_for_usage(route, body)
        return reply_of


def _ask_for_usage(route: Route, body: dict[str, Any]) -> bool:
    """Have the provider state the usage of a streamed completion, which LiteLLM does for chat alone.

    Returns whether the client has asked for the usage of a stream.
    """
    if body.get("stream") is not True:
        return False
    is_wanted = wants_usage(body)
    if route is Route.COMPLETIONS:
        ask_for_usage(body)
    return is_wanted
