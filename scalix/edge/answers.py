"""The way back: takes what LiteLLM's app sends for one exchange, settles it, and passes it on to the client."""

import asyncio
import logging
from collections.abc import Callable

import orjson

from scalix.domain.errors import GatewayError
from scalix.domain.outcomes import Usage
from scalix.domain.quota import Outcome, Settled, window_states
from scalix.domain.routes import Route
from scalix.domain.stream_events import EventSplitter
from scalix.edge.asgi import JSON, Header, Message, Send, send_bytes, send_error
from scalix.edge.delivered import CountTokens, Delivered
from scalix.edge.provider_errors import (
    broken_stream,
    error_event,
    error_of_failure,
    outcome_of_failure,
    provider_failed,
)
from scalix.edge.quota_headers import quota_headers
from scalix.edge.stream_marks import is_error, is_last
from scalix.edge.usage_chunks import answer_without_cost, completion_event, event_without_cost
from scalix.service.exchanges import Exchange
from scalix.service.settlement import Settlement

REPORT_WAIT_S = 0.25
_EVENT_STREAM = b"text/event-stream"
_CHARGED_BY_TOKENS = (Outcome.SUCCESS, Outcome.CLIENT_CUT, Outcome.PROVIDER_BROKE, Outcome.CLIENT_LEFT)

log = logging.getLogger("scalix.edge")


class Answer:
    """One exchange's answer. `send` goes to LiteLLM's app; `conclude` must be called when that app has ended, and
    `settle_anyway` after everything.

    `count_prompt` counts the tokens of the prompt; it is called only if the provider has not said. To be set before
    LiteLLM's app runs: `is_forwarded`, and `usage_wanted` if the client of a streamed completion wants its usage.
    """

    def __init__(
        self,
        exchange: Exchange,
        settlement: Settlement,
        send: Send,
        *,
        count_tokens: CountTokens,
        count_prompt: Callable[[], int],
        now_ms: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._settlement = settlement
        self._send = send
        self._count_prompt = count_prompt
        self._now_ms = now_ms
        self.usage_wanted = False
        self.is_forwarded = False
        self._delivered = Delivered(exchange.model, count_tokens)
        self._anthropic = exchange.route is Route.MESSAGES
        self._status = 0
        self._is_stream = False
        self._parts: list[bytes] = []  # an answer that is not streamed, until it is whole
        self._splitter = EventSplitter()
        self._events = 0
        # The event by which a client knows that a stream is over, and what follows it, until the stream is settled.
        self._held: list[bytes] = []
        self._started = False  # whether the client has had a first byte
        self._broke = False
        self._ended = False

    async def send(self, message: Message) -> None:
        """An ASGI `send` for LiteLLM's app."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
            content_type = dict(message["headers"]).get(b"content-type", JSON)
            self._is_stream = self._status == 200 and content_type.startswith(_EVENT_STREAM)
        elif message["type"] == "http.response.body" and not self._ended:
            part, more = message.get("body", b""), message.get("more_body", False)
            if self._is_stream:
                await self._stream(part, more)
            else:
                self._parts.append(part)
                if not more:
                    await self._finish_whole()

    async def conclude(self) -> None:
        """LiteLLM's app has returned or failed: end and settle whatever is still open."""
        if self._ended:
            return
        if self._is_stream and self._started:
            await self._finish_stream(broke=not self._exchange.client_left)
        elif self._exchange.client_left:
            self._ended = True
            await self._settle(Outcome.CLIENT_LEFT)
        else:
            await self._fail(Outcome.PROVIDER_FAILED, provider_failed(self._exchange))

    async def settle_anyway(self) -> None:
        """Settle an exchange that an error or a cancellation has kept from it, by what is known."""
        exchange = self._exchange
        if exchange.settled:
            return
        if not self.is_forwarded:
            await self._settlement.settle(exchange, Outcome.PROVIDER_FAILED)  # costs nothing: no provider was asked
            return
        outcome = Outcome.CLIENT_LEFT if exchange.client_left else Outcome.PROVIDER_BROKE
        try:
            await self._settle(outcome)
        finally:
            if not exchange.settled:  # what was delivered can't be counted
                exchange.usage = self._believed_usage()
                await self._settlement.settle(exchange, outcome)

    # answers that come whole

    async def _finish_whole(self) -> None:
        body = b"".join(self._parts)
        if self._status >= 400:
            if self._exchange.client_left and not self._exchange.failures:
                outcome = Outcome.CLIENT_LEFT  # LiteLLM gave up because of that
            else:
                outcome = outcome_of_failure(self._exchange, self._status)
            await self._fail(outcome, error_of_failure(self._exchange, outcome, self._status, body))
        elif not body.strip() or body.startswith((b"null", b'{"error":', b'{"type":"error"')):
            await self._fail(Outcome.PROVIDER_FAILED, provider_failed(self._exchange))
        else:
            self._ended = True
            if self._exchange.route is Route.MESSAGES and self._exchange.usage_is_providers is None:
                # No provider was seen to answer: it may be LiteLLM's cache, which on this route its event alone says.
                await self._wait_for_report()
            if self._is_uncounted():
                self._delivered.add_whole(body)
            clean = _without_cost(body)
            settled = await self._settle(Outcome.CLIENT_LEFT if self._exchange.client_left else Outcome.SUCCESS)
            await send_bytes(self._send, self._status, clean, self._headers(settled))

    async def _fail(self, outcome: Outcome, error: GatewayError) -> None:
        self._ended = True
        settled = await self._settle(outcome)
        await send_error(self._send, error, self._headers(settled), anthropic=self._anthropic)

    # streams

    async def _stream(self, part: bytes, more: bool) -> None:
        events = self._splitter.feed(part)
        if not more and (rest := self._splitter.rest()):
            events.append(rest)
        passed: list[bytes] = []
        for event in events:
            self._broke = self._broke or is_error(event)
            if self._broke:
                break  # our own error event takes the place of this and what follows
            if self._held or is_last(event):
                self._held.append(self._cleaned(event))
            else:
                passed.append(self._cleaned(event))
        if clean := b"".join(passed):
            self._events += len(passed)
            await self._send_part(clean)
        if not more:
            await self._finish_stream(broke=self._broke)

    def _cleaned(self, event: bytes) -> bytes:
        if self._exchange.route is Route.COMPLETIONS:
            event = completion_event(event, with_usage=self.usage_wanted)
        return event_without_cost(event)

    async def _send_part(self, part: bytes, more: bool = True) -> None:
        if not self._started:
            self._started = True
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
                *self._headers(None),
            ]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        if part:
            self._delivered.add(part)
        await self._send({"type": "http.response.body", "body": part, "more_body": more})

    async def _finish_stream(self, *, broke: bool) -> None:
        self._ended = True
        if not self._started and (broke or not self._has_content()):
            outcome = outcome_of_failure(self._exchange, 500)
            await self._fail(outcome, error_of_failure(self._exchange, outcome, 500))
            return
        if broke:
            # Opening events alone are no answer.
            said_something = self._delivered.tokens() > 0
            await self._settle(Outcome.PROVIDER_BROKE if said_something else Outcome.PROVIDER_FAILED)
            error = broken_stream(self._exchange) if said_something else provider_failed(self._exchange)
            await self._send_part(error_event(error, self._exchange.route, self._events), more=False)
            return
        if self._exchange.client_left:
            if self._exchange.usage_is_providers is not False:
                await self._wait_for_report()
            await self._settle(Outcome.CLIENT_CUT)
            return
        await self._wait_for_report()
        if self._is_uncounted():
            for event in self._held:
                self._delivered.add(event)
        await self._settle(Outcome.SUCCESS)
        await self._send_part(b"".join(self._held), more=False)

    def _has_content(self) -> bool:
        """Whether the held events are more than the bare end of a stream."""
        return any(b"response." in event or b"delta" in event for event in self._held)

    async def _wait_for_report(self) -> None:
        if self._settlement.is_closing:
            return
        try:
            async with asyncio.timeout(REPORT_WAIT_S):
                await self._exchange.reported.wait()
        except TimeoutError:
            pass

    # both

    def _is_uncounted(self) -> bool:
        usage = self._believed_usage()
        return usage is None or not usage.completion_tokens

    def _believed_usage(self) -> Usage | None:
        """What LiteLLM reported, unless it is LiteLLM's own guess at what the provider has not said.

        Until it has reported: what the provider was seen to state.
        """
        exchange = self._exchange
        return None if exchange.usage_is_providers is False else exchange.usage or exchange.provider_usage

    async def _settle(self, outcome: Outcome) -> Settled | None:
        exchange = self._exchange
        delivered_tokens = 0
        if outcome in _CHARGED_BY_TOKENS:
            usage = self._believed_usage()
            # What a stream that ended early had stated may be its usage at an earlier point.
            so_far = exchange.usage is None and outcome is not Outcome.SUCCESS
            if usage is None or not usage.completion_tokens or so_far:
                delivered_tokens = self._delivered.tokens()
            if usage is not None and delivered_tokens > usage.completion_tokens:
                # There was more text than that, so it can't be true.
                exchange.provider_prompt_tokens, usage = usage.prompt_tokens, None
            if usage is None:
                exchange.prompt_tokens = exchange.provider_prompt_tokens or self._prompt_tokens()
            exchange.usage = usage
        return await self._settlement.settle(exchange, outcome, delivered_tokens=delivered_tokens)

    def _prompt_tokens(self) -> int:
        estimated_tokens = self._exchange.admitted.receipt.prompt_tokens
        try:
            return min(estimated_tokens, self._count_prompt())
        except Exception as error:
            log.error("request %s: the prompt can't be counted: %s", self._exchange.request_id, type(error).__name__)
            return estimated_tokens

    def _headers(self, settled: Settled | None) -> list[Header]:
        exchange = self._exchange
        tallies = settled.tallies if settled else exchange.admitted.tallies
        states = window_states(exchange.limits, tallies, exchange.admitted.receipt.admitted_ms)
        headers: list[Header] = [(b"x-request-id", exchange.request_id.encode())]
        if exchange.admitted.shadow:
            headers.append((b"x-scalix-shadow", ", ".join(exchange.admitted.shadow).encode()))
        tier = exchange.caller.tier
        name, upgrade_url = (tier.name, tier.upgrade_url) if tier else (None, None)
        return headers + quota_headers(name, upgrade_url, states, self._now_ms())


def _without_cost(body: bytes) -> bytes:
    try:
        return answer_without_cost(body)
    except orjson.JSONDecodeError:
        return body
