"""The way back: takes what LiteLLM's app sends for one exchange, settles it, and passes it on to the client."""

import asyncio
from collections.abc import Callable

from scalix.domain.errors import GatewayError
from scalix.domain.quota import Outcome, Settled, window_states
from scalix.domain.routes import Route
from scalix.edge.asgi import JSON, Header, Message, Send, send_bytes, send_error
from scalix.edge.delivered import CountTokens, Delivered
from scalix.edge.errors import error_body
from scalix.edge.provider_errors import broken_stream, error_of_failure, outcome_of_failure, provider_failed
from scalix.edge.quota_headers import quota_headers
from scalix.service.exchanges import Exchange
from scalix.service.settlement import Settlement

REPORT_WAIT_S = 0.25
_EVENT_STREAM = b"text/event-stream"
# The event by which a client knows that a stream is over: it is held back until the stream is settled.
_LAST_EVENTS = (b"data: [DONE]", b"message_stop", b"response.completed", b"response.incomplete", b"response.failed")


class Answer:
    """One exchange's answer. `send` goes to LiteLLM's app; `conclude` must be called when that app has ended."""

    def __init__(
        self,
        exchange: Exchange,
        settlement: Settlement,
        send: Send,
        *,
        count_tokens: CountTokens,
        now_ms: Callable[[], int],
    ) -> None:
        self._exchange = exchange
        self._settlement = settlement
        self._send = send
        self._now_ms = now_ms
        self._delivered = Delivered(exchange.model, count_tokens)
        self._anthropic = exchange.route is Route.MESSAGES
        self._status = 0
        self._is_stream = False
        self._parts: list[bytes] = []  # an answer that is not streamed, until it is whole
        self._held: list[bytes] = []  # the last event of a stream, until it is settled
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

    # answers that come whole

    async def _finish_whole(self) -> None:
        body = b"".join(self._parts)
        if self._status >= 400:
            outcome = outcome_of_failure(self._exchange, self._status)
            await self._fail(outcome, error_of_failure(self._exchange, outcome, self._status, body))
        elif not body.strip() or body.strip() == b"null":
            await self._fail(Outcome.PROVIDER_FAILED, provider_failed(self._exchange))
        else:
            self._ended = True
            if self._exchange.usage is None:
                self._delivered.add(b"")
            settled = await self._settle(Outcome.SUCCESS)
            await send_bytes(self._send, self._status, body, self._headers(settled))

    async def _fail(self, outcome: Outcome, error: GatewayError) -> None:
        self._ended = True
        settled = await self._settle(outcome)
        await send_error(self._send, error, self._headers(settled), anthropic=self._anthropic)

    # streams

    async def _stream(self, part: bytes, more: bool) -> None:
        if part:
            if _is_error_event(part):
                self._broke = True
            if self._broke:
                pass  # our own error event takes the place of what follows
            elif self._held or any(mark in part for mark in _LAST_EVENTS):
                self._held.append(part)
            else:
                await self._send_part(part)
        if not more:
            await self._finish_stream(broke=self._broke)

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
        if not self._started and (broke or not self._held):
            outcome = outcome_of_failure(self._exchange, 500)
            await self._fail(outcome, error_of_failure(self._exchange, outcome, 500))
            return
        if broke:
            await self._settle(Outcome.PROVIDER_BROKE)
            await self._send_part(self._error_event(), more=False)
            return
        await self._wait_for_report()
        outcome = Outcome.CLIENT_CUT if self._exchange.client_left else Outcome.SUCCESS
        if self._exchange.usage is None:
            for part in self._held:
                self._delivered.add(part)
        await self._settle(outcome)
        for part in self._held:
            await self._send_part(part)
        await self._send_part(b"", more=False)

    async def _wait_for_report(self) -> None:
        try:
            async with asyncio.timeout(REPORT_WAIT_S):
                await self._exchange.reported.wait()
        except TimeoutError:
            pass

    def _error_event(self) -> bytes:
        body = error_body(broken_stream(self._exchange), anthropic=self._anthropic)
        return (b"event: error\n" if self._anthropic else b"") + b"data: " + body + b"\n\n"

    # both

    async def _settle(self, outcome: Outcome) -> Settled | None:
        usage_is_known = self._exchange.usage is not None
        delivered_tokens = 0 if usage_is_known else self._delivered.tokens()
        return await self._settlement.settle(self._exchange, outcome, delivered_tokens=delivered_tokens)

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


def _is_error_event(part: bytes) -> bool:
    return part.startswith((b'data: {"error"', b'data: {"type":"error"', b'data: {"type": "error"', b"event: error"))
