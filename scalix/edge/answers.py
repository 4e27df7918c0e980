"""The way back: takes what LiteLLM's app sends for one exchange, settles it, and passes it on to the client."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from scalix.domain.limits.quota import Outcome, Settled
from scalix.domain.requests.routes import Route
from scalix.domain.requests.stream_events import EventSplitter
from scalix.edge.accounts import Account
from scalix.edge.answer_headers import answer_headers
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.edge.asgi import JSON, Header, Message, Send, send_bytes, send_error
from scalix.edge.failure_texts import broken_stream, error_event, provider_failed
from scalix.edge.lifted_parts import put_back
from scalix.edge.provider_errors import Failed, failed, final_error
from scalix.edge.stream_marks import is_error, is_last
from scalix.service.exchange.exchanges import Exchange

SHOW_LIFE_EVERY_S = 1.0
_EVENT_STREAM = b"text/event-stream"
_SERVER_ERROR = 500


async def noop() -> None:
    """What is awaited where nobody has anything to do."""


class Answer:
    """One exchange's answer. `send` goes to LiteLLM's app; `conclude` must be called when that app has ended, and
    `settle_anyway` after everything.

    `account` and `repairs` make what charges the answer of a model, and what repairs it.

    `is_followed` is asked when a model has failed before its first byte. If it says yes, nothing is sent, and `begin`
    makes this the answer of the next model; else the first failure is sent. `on_first_byte` is awaited before
    it is decided. `failure` is that of the latest model, if it has failed.
    """

    def __init__(
        self,
        exchange: Exchange,
        send: Send,
        *,
        account: Callable[[str], Account],
        repairs: Callable[[str], AnswerRepairs],
        now_ms: Callable[[], int],
        is_followed: Callable[[Failed], bool] = lambda failure: False,
    ) -> None:
        self._exchange = exchange
        self._send = send
        self._new_account = account
        self._new_repairs = repairs
        self._now_ms = now_ms
        self._is_followed = is_followed
        self.on_first_byte: Callable[[], Awaitable[None]] = noop
        self._anthropic = exchange.admission.route is Route.MESSAGES
        self._failures: list[Failed] = []
        self.has_started = False  # whether the client has had a first byte
        self.begin(exchange.admission.model)

    def begin(self, model: str) -> None:
        """What is sent from now on is the answer of `model`."""
        self._model = self._exchange.attempt.model = model
        self.failure: Failed | None = None
        self._account = self._new_account(model)
        self._repairs = self._new_repairs(model)
        self._exchange.attempt.on_sign_of_life = self._show_life
        self._shown_life_s = self._account.now_s()
        self._status = 0
        self._is_stream = False
        self._parts: list[bytes] = []  # an answer that is not streamed, until it is whole
        self._splitter = EventSplitter()
        # The event by which a client knows that a stream is over, and what follows it, until the stream is settled.
        self._held: list[bytes] = []
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
        if self._is_stream and self.has_started:
            await self._finish_stream(broke=not self._exchange.client_left)
        elif self._exchange.client_left:
            self._ended = True
            await self._account.settle(Outcome.CLIENT_LEFT)
        else:
            await self._fail(0)

    async def settle_anyway(self) -> None:
        """Settle an exchange that an error or a cancellation has kept from it, by what is known."""
        if self._exchange.ending is None:
            await self._account.settle_anyway()

    # answers that come whole

    async def _finish_whole(self) -> None:
        body = b"".join(self._parts)
        if self._status >= 400:
            await self._fail(self._status, body)
        elif not body.strip() or body.startswith((b"null", b'{"error":', b'{"type":"error"')):
            await self._fail(_SERVER_ERROR, body)
        else:
            await self.on_first_byte()
            self._ended = True
            if self._exchange.admission.route is Route.MESSAGES and self._account.is_known_by_event_alone():
                await self._account.wait_for_report()
            if self._account.is_uncounted():
                await self._account.delivered.add_whole(body)
            clean = self._repairs.whole(body)
            if self._exchange.attempt.lifted is not None:
                clean = put_back(clean, self._exchange.attempt.lifted)
            settled = await self._account.settle(Outcome.CLIENT_LEFT if self._exchange.client_left else Outcome.SUCCESS)
            await send_bytes(self._send, self._status, clean, self._headers(settled))

    async def _fail(self, status: int, body: bytes = b"") -> None:
        """The model has failed before its first byte."""
        await self.on_first_byte()
        self._ended = True
        exchange = self._exchange
        self.failure = failed(exchange, self._model, status, body)
        is_followed = not exchange.client_left and self._is_followed(self.failure)
        if not (is_followed and self.failure.asks_anew):
            self._failures.append(self.failure)
        if is_followed:
            return
        # Why the first one failed, unless one has answered after all, which is charged.
        first = self.failure if exchange.attempt.seen.answered_whole else self._failures[0]
        outcome = first.outcome
        gave_up = exchange.client_left and not exchange.attempt.failures and len(self._failures) == 1
        if exchange.hung_up or gave_up:
            outcome = Outcome.CLIENT_LEFT  # LiteLLM failed because of that
        settled = await self._account.settle(outcome, first)
        error = final_error(exchange.admission.model, first, self._failures)
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
                self._held.append(self._repairs.event(event))
            else:
                passed.append(self._repairs.event(event))
        if clean := b"".join(passed):
            await self._send_part(clean)
        if not more:
            await self._finish_stream(broke=self._broke and not self._exchange.client_left)

    async def _send_part(self, part: bytes, more: bool = True) -> None:
        if not self.has_started:
            await self.on_first_byte()
            self.has_started = True
            self._exchange.first_token_s = time.monotonic()
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
                *self._headers(None),
            ]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        if part:
            await self._account.add(part)
        before_s = self._account.now_s()
        await self._send({"type": "http.response.body", "body": part, "more_body": more})
        self._account.held_up(self._account.now_s() - before_s)

    def _show_life(self) -> None:
        """The provider says that it is at work: so is told the client whose stream has begun, once a second at most."""
        now_s = self._account.now_s()
        if self.has_started and not self._ended and now_s - self._shown_life_s >= SHOW_LIFE_EVERY_S:
            self._shown_life_s = now_s
            self._showing_life = asyncio.get_running_loop().create_task(self._send_comment())

    async def _send_comment(self) -> None:
        if not self._ended and not self._exchange.client_left:
            await self._send({"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True})

    async def _finish_stream(self, *, broke: bool) -> None:
        self._ended = True
        if not self.has_started and (broke or not self._has_content()):
            await self._fail(_SERVER_ERROR)
            return
        if broke:
            # Opening events alone are no answer.
            said_something = await self._account.delivered.tokens() > 0
            self.failure = failure = failed(self._exchange, self._model, _SERVER_ERROR)
            is_charged = said_something or failure.outcome is Outcome.PROVIDER_BROKE
            await self._account.settle(Outcome.PROVIDER_BROKE if is_charged else Outcome.PROVIDER_FAILED, failure)
            error = failure.error
            if failure.outcome is Outcome.PROVIDER_FAILED or not is_charged:
                error = (
                    broken_stream(self._model)
                    if said_something
                    else provider_failed(self._model, failure.error_class, failure.retry_after_s)
                )
            await self._send_part(
                error_event(error, self._exchange.admission.route, self._repairs.next_number), more=False
            )
            return
        if self._exchange.client_left:
            if self._exchange.attempt.seen.states_usage is not False:
                await self._account.wait_for_report()
            await self._account.settle(Outcome.CLIENT_CUT)
            return
        await self._account.wait_for_report()
        if self._account.is_uncounted():
            for event in self._held:
                await self._account.delivered.add(event)
        await self._account.settle(Outcome.SUCCESS)
        await self._send_part(b"".join(self._held), more=False)

    def _has_content(self) -> bool:
        """Whether the held events are more than the bare end of a stream."""
        return any(b"response." in event or b"delta" in event for event in self._held)

    def _headers(self, settled: Settled | None) -> list[Header]:
        served = self._model if self.failure is None else None
        return answer_headers(self._exchange, settled, served, self._now_ms())
