"""What one model's answer is charged: the usage that is believed, or what was delivered and done unseen."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

from scalix.domain.answers.plain_deltas import Run
from scalix.domain.limits.quota import Outcome, Settled
from scalix.domain.tokens.usage import Usage
from scalix.edge.delivered import CountTokens, Delivered
from scalix.edge.provider_errors import Failed
from scalix.edge.stream_marks import shows_answer, shows_thought
from scalix.service.exchange.attempts import BROKE_OFF, TOO_SLOW
from scalix.service.exchange.endings import Use
from scalix.service.exchange.exchanges import Exchange
from scalix.service.exchange.hidden_work import Silence, Speeds
from scalix.service.exchange.settlement import Settlement

REPORT_WAIT_S = 0.25
_CHARGED_BY_TOKENS = (Outcome.SUCCESS, Outcome.CLIENT_CUT, Outcome.PROVIDER_BROKE, Outcome.CLIENT_LEFT)

log = logging.getLogger("scalix.edge")


@dataclass(frozen=True, slots=True)
class Measures:
    """How an answer is measured where its usage is not known. `prompt` counts the prompt, and is called only if the
    provider has not; `thinks` says whether the model does, if that is known; `clock` gives seconds, monotonic."""

    tokens: CountTokens
    prompt: Callable[[], Awaitable[int]]
    speeds: Speeds
    thinks: Callable[[], bool | None] = lambda: None
    clock: Callable[[], float] = monotonic


def _said(run: Run) -> bytes:
    """The texts of a run as one event, which is a twentieth of its size."""
    return b'data: {"choices":[{"delta":{"content":"' + run.text + b'"}}]}\n\n'


class Account:
    """The account of one model's answer, from when the model is asked until it is settled."""

    def __init__(self, exchange: Exchange, model: str, settlement: Settlement, measures: Measures) -> None:
        self._exchange = exchange
        self._model = model
        self._settlement = settlement
        self._measures = measures
        self._speeds = measures.speeds
        self.now_s = measures.clock
        self.delivered = Delivered(model, measures.tokens)
        self._asked_s = self.now_s()
        self._silence = Silence(self._asked_s)
        self._shows_thoughts = False
        self._held_up_s = 0.0  # by a client that does not read

    async def add(self, part: bytes, run: Run | None = None) -> None:
        """Note events of a stream that are about to be sent. `run`: they are these, and nothing else."""
        self.note(part, run)
        if self.delivered.is_full:
            await self.delivered.count()

    def note(self, part: bytes, run: Run | None = None) -> None:
        """The same, where nothing may be waited for."""
        if shows_thought(part):
            self._shows_thoughts = True
            self._silence.thought()
        elif shows_answer(part):
            self._silence.heard(self.now_s())
        self.delivered.keep(part if run is None else _said(run))

    def held_up(self, seconds: float) -> None:
        """Note the time that the client took to read a part."""
        self._held_up_s += seconds

    async def settle_anyway(self) -> None:
        """Settle by what is known, where an error or a cancellation has kept the answer from it."""
        exchange = self._exchange
        outcome = Outcome.CLIENT_LEFT if exchange.client_left else Outcome.PROVIDER_BROKE
        try:
            await self.settle(outcome)
        finally:
            if exchange.ending is None:  # what was delivered can't be counted
                ending = exchange.ended(outcome, Use(self._believed_usage()), served=self._model)
                await self._settlement.settle(exchange, ending)

    def is_known_by_event_alone(self) -> bool:
        """Whether only LiteLLM's event says what is charged for an answer on a route that hands it over bare: it may
        come from LiteLLM's cache, or have cost what no price of ours knows."""
        exchange = self._exchange
        if exchange.attempt.seen.states_usage is None:
            return True
        price = exchange.admission.price_of(self._model)
        usage = exchange.attempt.usage
        return price is None or price.reported or (usage is not None and usage.has_extras)

    async def wait_for_report(self) -> None:
        if self._settlement.is_closing:
            return
        try:
            async with asyncio.timeout(REPORT_WAIT_S):
                await self._exchange.attempt.reported.wait()
        except TimeoutError:
            pass

    def is_uncounted(self) -> bool:
        usage = self._believed_usage()
        return usage is None or not usage.completion_tokens

    def _believed_usage(self) -> Usage | None:
        """What LiteLLM reported, unless it is LiteLLM's own guess at what the provider has not said, or at a
        stream that it has not read to the end.

        Until it has reported: what the provider was seen to state.
        """
        exchange, seen = self._exchange, self._exchange.attempt.seen
        if seen.states_usage is False:
            return None
        if seen.usage is not None and self._is_cut():
            return seen.usage
        return exchange.attempt.usage or seen.usage

    async def settle(self, outcome: Outcome, failure: Failed | None = None) -> Settled | None:
        """Settle the exchange. `failure` is what it failed of, and is to be blamed for."""
        exchange = self._exchange
        error = failure.error_class if failure is not None and outcome is not Outcome.CLIENT_LEFT else None
        if outcome in _CHARGED_BY_TOKENS:
            ending = exchange.ended(outcome, await self._use(outcome), served=self._model, error=error)
        else:
            ending = exchange.ended(outcome, error=error)
        return await self._settlement.settle(exchange, ending)

    async def _use(self, outcome: Outcome) -> Use:
        """What is charged for an answer that is charged by its tokens."""
        exchange, delivered_tokens = self._exchange, 0
        usage = self._believed_usage()
        prompt_tokens = exchange.attempt.seen.prompt_tokens
        # What a stream that ended early had stated may be its usage at an earlier point.
        is_reported = exchange.attempt.usage is not None and not self._is_cut()
        so_far = not is_reported and outcome is not Outcome.SUCCESS
        if usage is None or not usage.completion_tokens or so_far:
            delivered_tokens = await self.delivered.tokens()
        if usage is not None and delivered_tokens > usage.completion_tokens:
            # There was more text than that, so it can't be true.
            prompt_tokens, usage = usage.prompt_tokens, None
        if usage is None:
            prompt_tokens = prompt_tokens or await self._prompt_tokens()
            delivered_tokens += self._unseen_tokens(outcome, delivered_tokens)
        elif outcome is Outcome.SUCCESS:
            self._learn(usage)
        return Use(usage, prompt_tokens, delivered_tokens)

    def _is_cut(self) -> bool:
        return self._exchange.client_left and self._exchange.admission.streamed

    def _unseen_tokens(self, outcome: Outcome, delivered_tokens: int) -> int:
        """What the model may have generated out of sight of a client that has gone: as much as it can have in the time
        in which it showed nothing, and no more than was reserved; all of that where its answer is more than is read."""
        exchange = self._exchange
        admission = exchange.admission
        room_tokens = admission.receipt.output_cap_tokens * admission.choices - delivered_tokens
        if exchange.attempt.answer_is_too_large:
            return max(0, room_tokens)
        if not self._is_at_work() or outcome not in (Outcome.CLIENT_CUT, Outcome.CLIENT_LEFT):
            return 0
        now_s = self.now_s()
        if admission.streamed:
            is_known = self._shows_thoughts or self._speeds.thinks(self._model)
            seconds = self._silence.seconds(now_s, thinks=True if is_known else self._measures.thinks())
        else:
            seconds = now_s - self._asked_s
        return max(0, min(round(seconds * self._speeds.of(self._model)), room_tokens))

    def _is_at_work(self) -> bool:
        attempt = self._exchange.attempt
        error = attempt.seen.error
        # Who has refused generates nothing, also while it is waited to ask once more.
        has_refused = error is not None and error.kind not in (BROKE_OFF, TOO_SLOW)
        return attempt.asked and not attempt.cache_hit and not has_refused

    def _learn(self, usage: Usage) -> None:
        if self._is_at_work():
            self._speeds.learn(self._model, usage, self.now_s() - self._asked_s, self._held_up_s)

    async def _prompt_tokens(self) -> int:
        admission = self._exchange.admission
        try:
            return min(admission.receipt.prompt_tokens, await self._measures.prompt())
        except Exception as error:
            log.error("request %s: the prompt can't be counted: %s", admission.request_id, type(error).__name__)
            return admission.receipt.prompt_tokens
