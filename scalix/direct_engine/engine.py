"""The engine for providers that speak OpenAI's format: what they answer is passed on, and nothing translated.

It has the same face as LiteLLM's app, for which it stands: an ASGI app that takes the inner scope of an admitted
request. It is asked on the routes of `domain/engines.py:DIRECT`. What it can't serve goes to LiteLLM's app as it is.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import uuid4

import httpx

from scalix.direct_engine.passing import Passed, PassedStream, passed_whole
from scalix.domain.answers.passed_chat import PassedChat
from scalix.domain.answers.passed_completions import PassedCompletions
from scalix.domain.answers.passed_embeddings import PassedEmbeddings
from scalix.domain.answers.passed_responses import PassedResponses
from scalix.domain.answers.plain_deltas import RUN, Group, Run
from scalix.domain.failures import ErrorClass
from scalix.domain.fallbacks import LONGEST_RETRY_WAIT_S
from scalix.domain.requests.routes import Route
from scalix.domain.requests.stream_usage import ask_for_usage, wants_usage
from scalix.service.answers.provider_errors import AnswerBroke
from scalix.service.exchange.attempts import ProviderError
from scalix.service.exchange.exchanges import Exchange

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]
Request = Any  # what `build` makes and `ask` takes
# The request of an exchange for the provider of its model, by its body; `None` where LiteLLM is to ask.
Build = Callable[[Exchange, dict[str, Any]], Awaitable[Request | None]]
# Sends it. The status of the answer, and its body, or the events of its stream that came together.
Answered = tuple[int, bytes | AsyncIterator[Group]]
Ask = Callable[[Exchange, Request], Awaitable[Answered]]

_RETRIES = "num_retries"  # the edge's word to an engine: how often the same model may be asked again
FIRST_WAIT_S, _MOST_WAIT_S = 0.5, 8.0
_EVENTS = b"text/event-stream"
_OK, _BAD_GATEWAY = 200, 502
_BROKEN = b'data: {"error":{"message":"the stream broke off","type":"provider_error","code":"502"}}\n\n'


class DirectEngine:
    """`build` makes the request to a provider, `ask` sends it and reads the answer, and `app` serves all others.

    `first_wait_s` is the pause before a failed request is sent again, if its provider names none."""

    def __init__(
        self,
        app: ASGIApp,
        build: Build,
        ask: Ask,
        *,
        first_wait_s: float = FIRST_WAIT_S,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._first_wait_s = first_wait_s
        self._app = app
        self._build = build
        self._ask = ask
        self._pause = pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        exchange: Exchange = scope["scalix"]
        body = dict(exchange.attempt.body)
        retries, with_usage = body.pop(_RETRIES, 0), wants_usage(body)
        if exchange.admission.streamed and exchange.admission.route is not Route.RESPONSES:
            ask_for_usage(body)
        request = await self._build(exchange, body)
        if request is None:
            await self._app(scope, receive, send)
        else:
            exchange.attempt.directly = True
            await self._serve(exchange, request, _passed(exchange, with_usage=with_usage), retries, send)

    async def _serve(
        self,
        exchange: Exchange,
        request: Request,
        passed: Passed,
        retries: int,
        send: Send,
    ) -> None:
        exchange.attempt.reported.set()  # nobody reports on it but who reads the answer: the end waits for no one
        status, answer = await self._answered(exchange, request, retries)
        if not isinstance(answer, bytes) and not exchange.admission.streamed:
            status, answer = _BAD_GATEWAY, await _read_to_its_end(answer)  # nobody would find an answer in it
        if isinstance(answer, bytes):
            await _send_whole(send, status, passed_whole(answer, passed) if status == _OK else answer)
        elif not isinstance(passed, PassedEmbeddings):
            stream = PassedStream(passed)
            exchange.attempt.take_run = partial(stream.pass_on, exchange.attempt)
            await _send_stream(send, stream.passed(answer))

    async def _answered(self, exchange: Exchange, request: Request, retries: int) -> Answered:
        """The provider's answer, asked again where that may help. A failed connection is a 502 too."""
        answered: Answered = (_BAD_GATEWAY, b"")
        for tries in range(retries + 1):
            try:
                answered = await self._ask(exchange, request)
            except httpx.TransportError:
                answered = (_BAD_GATEWAY, b"")
            failure = exchange.attempt.seen.error
            if answered[0] == _OK or tries == retries or not _may_be_tried_again(failure):
                break
            await self._pause(_wait_s(failure, tries, self._first_wait_s))
        return answered


def _passed(exchange: Exchange, *, with_usage: bool) -> Passed:
    if exchange.admission.route is Route.EMBEDDINGS:
        return PassedEmbeddings(exchange.attempt.model)
    if exchange.admission.route is Route.RESPONSES:
        return PassedResponses(exchange.attempt.model, exchange.attempt.kept_id, _new_id, _now_s)
    chat_or_texts = PassedCompletions if exchange.admission.route is Route.COMPLETIONS else PassedChat
    return chat_or_texts(exchange.attempt.model, _new_id, _now_s, with_usage=with_usage)


def _may_be_tried_again(failure: ProviderError | None) -> bool:
    if failure is None or (failure.retry_after_s or 0) > LONGEST_RETRY_WAIT_S:
        return False
    return failure.is_of_the_connection or failure.error_class is ErrorClass.PROVIDER_DOWN


def _wait_s(failure: ProviderError | None, tries: int, first_s: float) -> float:
    """As long as the provider asks for, else longer each time, as OpenAI's clients wait."""
    if failure is not None and failure.retry_after_s:
        return float(failure.retry_after_s)
    longest_s: float = min(first_s * 2**tries, _MOST_WAIT_S)
    return longest_s * random.uniform(0.75, 1.0)  # noqa: S311


async def _send_whole(send: Send, status: int, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": body})


async def _send_stream(send: Send, pieces: AsyncIterator[bytes | Run]) -> None:
    await send({"type": "http.response.start", "status": _OK, "headers": [(b"content-type", _EVENTS)]})
    end = b""
    try:
        async for piece in pieces:
            if isinstance(piece, Run):
                await send({"type": RUN, "run": piece})
            else:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
    except (AnswerBroke, httpx.TransportError):
        end = _BROKEN
    await send({"type": "http.response.body", "body": end})


async def _read_to_its_end(groups: AsyncIterator[Group]) -> bytes:
    """Read a stream for what it says of its usage alone."""
    with suppress(AnswerBroke, httpx.TransportError):
        async for _ in groups:
            pass
    return b""


def _new_id(prefix: str) -> str:
    return prefix + uuid4().hex


def _now_s() -> int:
    return int(time.time())
