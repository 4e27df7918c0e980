"""Answers of a model that come as server-sent events."""

import asyncio
import time

from scalix.domain.answers.plain_deltas import Changed, Run
from scalix.domain.answers.stream_events import EventSplitter
from scalix.domain.limits.quota import Outcome
from scalix.edge.failure_texts import broken_stream, error_event, provider_failed
from scalix.edge.patience import Patience
from scalix.edge.provider_errors import Failed
from scalix.edge.replies import Reply
from scalix.edge.stream_marks import is_error, is_last

SHOW_LIFE_EVERY_S = 1.0
_SERVER_ERROR = 500


class StreamedAnswer:
    """Repairs each event and passes it on. The event by which a client knows that a stream is over, and what follows
    it, are held back until the stream is settled."""

    def __init__(self, reply: Reply, patience: Patience) -> None:
        self._reply = reply
        self._patience = patience
        self._splitter = EventSplitter()
        self._held: list[bytes] = []
        self._has_started = False  # whether the client has had a first byte
        self._broke = False
        self.ended = False
        self._failure: Failed | None = None
        self._changed = Changed(reply.repairs.event)
        self._shown_life_s = reply.account.now_s()
        reply.exchange.attempt.on_sign_of_life = self._show_life
        reply.exchange.attempt.pass_run = self._pass_run

    async def add(self, part: bytes, *, more: bool) -> None:
        """Take the next part. `more`: it is not the last."""
        events = self._splitter.feed(part)
        if not more and (rest := self._splitter.rest()):
            events.append(rest)
        passed: list[bytes] = []
        for event in events:
            self._broke = self._broke or is_error(event)
            if self._broke:
                break  # our own error event takes the place of this and what follows
            if self._held or is_last(event):
                self._held.append(self._reply.repairs.event(event))
            else:
                passed.append(self._reply.repairs.event(event))
        if clean := b"".join(passed):
            await self._send_part(clean)
        if not more:
            await self._finish(broke=self._broke and not self._reply.exchange.client_left)

    async def add_run(self, run: Run) -> None:
        """Take events that differ from one that was taken before in nothing but their text."""
        template = self._changed.of(run.template)
        if template is None or not self._is_plain():
            await self.add(b"".join(run.events()), more=True)
        else:
            await self._send_part(run.written(template), said=run)

    def _pass_run(self, run: Run) -> bool:
        """Send events as `add_run` does, if nothing has to be waited for. Returns whether they were sent."""
        reply = self._reply
        if not self._has_started or self.ended or reply.account.delivered.is_full or not self._is_plain():
            return False
        template = self._changed.of(run.template)
        if template is None or not reply.exchange.write_at_once(part := run.written(template)):
            return False
        reply.account.note(part, run)
        return True

    def _is_plain(self) -> bool:
        return not self._held and not self._broke and not self._splitter.has_begun_event

    async def conclude(self) -> Failed | None:
        """Nothing more comes. What the model has failed of: if the stream had not begun, nothing is sent or settled."""
        client_left = self._reply.exchange.client_left
        if self.ended:
            return self._failure
        if self._has_started:
            await self._finish(broke=not client_left)
            return self._failure
        self.ended = True
        if client_left:
            await self._reply.account.settle(Outcome.CLIENT_LEFT)
        else:
            self._failure = self._reply.failed(0)
        return self._failure

    async def _send_part(self, part: bytes, *, more: bool = True, said: Run | None = None) -> None:
        reply = self._reply
        if not self._has_started:
            await self._patience.end()
            self._has_started = True
            reply.exchange.first_token_s = time.monotonic()
            headers = [
                (b"content-type", b"text/event-stream; charset=utf-8"),
                (b"cache-control", b"no-cache"),
                (b"x-accel-buffering", b"no"),
                *reply.headers(None),
            ]
            await reply.send({"type": "http.response.start", "status": 200, "headers": headers})
        if part:
            await reply.account.add(part, said)
        before_s = reply.account.now_s()
        await reply.send({"type": "http.response.body", "body": part, "more_body": more})
        reply.account.held_up(reply.account.now_s() - before_s)

    def _show_life(self) -> None:
        """The provider says that it is at work: so is told the client whose stream has begun, once a second at most."""
        now_s = self._reply.account.now_s()
        if self._has_started and not self.ended and now_s - self._shown_life_s >= SHOW_LIFE_EVERY_S:
            self._shown_life_s = now_s
            self._showing_life = asyncio.get_running_loop().create_task(self._send_comment())

    async def _send_comment(self) -> None:
        if not self.ended and not self._reply.exchange.client_left:
            await self._reply.send({"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True})

    async def _finish(self, *, broke: bool) -> None:
        self.ended = True
        exchange, account = self._reply.exchange, self._reply.account
        if not self._has_started and (broke or not self._has_content()):
            await self._patience.end()
            self._failure = self._reply.failed(_SERVER_ERROR)
        elif broke:
            await self._break_off()
        elif exchange.client_left:
            if exchange.attempt.seen.states_usage is not False:
                await account.wait_for_report()
            await account.settle(Outcome.CLIENT_CUT)
        else:
            await account.wait_for_report()
            if account.is_uncounted():
                for event in self._held:
                    await account.delivered.add(event)
            await account.settle(Outcome.SUCCESS)
            await self._send_part(b"".join(self._held), more=False)

    async def _break_off(self) -> None:
        """Charge what was delivered, and end the stream with an error."""
        reply = self._reply
        # Opening events alone are no answer.
        said_something = await reply.account.delivered.tokens() > 0
        self._failure = failure = reply.failed(_SERVER_ERROR)
        is_charged = said_something or failure.outcome is Outcome.PROVIDER_BROKE
        await reply.account.settle(Outcome.PROVIDER_BROKE if is_charged else Outcome.PROVIDER_FAILED, failure)
        error = failure.error
        if said_something and failure.outcome is Outcome.PROVIDER_FAILED:
            error = broken_stream(reply.model)
        elif failure.outcome is Outcome.PROVIDER_FAILED or not is_charged:
            error = provider_failed(reply.model, failure.error_class, failure.retry_after_s)
        reply.exchange.told_code = error.code
        event = error_event(error, reply.exchange.admission.route, reply.repairs.next_number)
        await self._send_part(event, more=False)

    def _has_content(self) -> bool:
        """Whether the held events are more than the bare end of a stream."""
        return any(b"response." in event or b"delta" in event for event in self._held)
