"""Takes LiteLLM through answers and streams before the gateway is ready, without the network, and looks whether they
are what they should be.

LiteLLM imports, compiles and opens much at its first request: without this the first client would wait a second for it.
And one that is broken, or put together otherwise than the adapter's seams expect, must not begin to serve: it would
answer 503 to everybody and seem to be the providers' fault.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from itertools import islice
from typing import Any

import httpx
import orjson
import re2

from scalix.domain.limits.limits import UNLIMITED
from scalix.domain.limits.quota import Admitted, Ask, Receipt
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.usage import Usage
from scalix.litellm_adapter.blame import shown_root
from scalix.litellm_adapter.direct_requests import DirectRequests
from scalix.service.exchange.admission import Admission, Reservation
from scalix.service.exchange.calls import Call
from scalix.service.exchange.exchanges import CURRENT, Exchange, Exchanges
from scalix.service.identity.callers import THE_OPERATOR

LONGEST_S, REPORT_S = 30.0, 10.0
_SAID = "hello"
_MESSAGES = [{"role": "user", "content": _SAID}]
_USAGE = Usage(7, 5)
_MOST_MODELS = 20  # that are asked for: one of each provider's is among them, as a rule
_PATH = "/v1/chat/completions"
_CONTENT = re2.compile(rb'"content":"(\w*)"')


class SelfTestFailed(Exception):
    """LiteLLM, or a seam of the adapter in it, does not do what it should. Says what, in one line without secrets."""


async def warm_up(app: Any, model: str, internal_token: str, exchanges: Exchanges) -> None:
    """Ask LiteLLM's started `app` for mock answers of `model`, and its client of OpenAI's format for answers that the
    transport under it gives. Raises `SelfTestFailed`."""
    for stream in (False, True):
        await _judged("its client", _check_transport(stream))
        if model:
            await _judged("its proxy", _check_app(app, model, internal_token, exchanges, stream))
    if model:
        await _load_messages(app, model, internal_token)
    await asyncio.to_thread(_open_what_clients_share)


async def warm_up_direct(requests: DirectRequests, models: Iterable[str]) -> None:
    """Have the first requests built that go to providers without LiteLLM's app, and one of them answered. Raises
    `SelfTestFailed`."""
    for model in islice(models, _MOST_MODELS):
        for stream in (False, True):
            await _judged("what is sent without its proxy", _check_direct(requests, model, stream))


async def _check_direct(requests: DirectRequests, model: str, stream: bool) -> None:
    exchange = _rehearsal(stream)
    exchange.attempt.model, exchange.attempt.directly = model, True
    asked: dict[str, Any] = {"model": model, "messages": _MESSAGES}
    token = CURRENT.set(exchange)
    try:
        request = await requests.build(exchange, {**asked, "stream": True} if stream else asked)
        if request is None or orjson.loads(request.content).get("messages") != _MESSAGES:
            return
        _, answer = await requests.ask(exchange, request)
        if not isinstance(answer, bytes):
            async for _ in answer:
                pass
    finally:
        CURRENT.reset(token)
    if exchange.attempt.seen.usage != _USAGE:
        raise SelfTestFailed("what is answered is not seen")


async def _load_messages(app: Any, model: str, internal_token: str) -> None:
    """A route that LiteLLM loads when it is first asked for, with everybody else waiting for half a second. Whatever
    else comes of it does no harm."""
    asked = {"model": model, "messages": _MESSAGES, "max_tokens": 20, "mock_response": _SAID}
    with suppress(Exception):
        async with asyncio.timeout(LONGEST_S):
            await _ask(app, asked, internal_token, _rehearsal(False), "/v1/messages")


async def _judged(what: str, check: Awaitable[None]) -> None:
    try:
        async with asyncio.timeout(LONGEST_S):
            await check
    except Exception as error:
        said = str(error) if isinstance(error, SelfTestFailed) else shown_root(error)
        raise SelfTestFailed(f"LiteLLM does not pass the self-test of {what}: {said}") from None


async def _check_app(app: Any, model: str, internal_token: str, exchanges: Exchanges, stream: bool) -> None:
    """The way of a request: who calls, LiteLLM's proxy and router, what the callbacks report."""
    exchange = _rehearsal(stream)
    asked = {"model": model, "messages": _MESSAGES, "mock_response": _SAID, "stream": stream}
    exchanges.add(exchange)
    token = CURRENT.set(exchange)
    try:
        answer = await _ask(app, asked, internal_token, exchange)
        if answer.status_code != 200:
            raise SelfTestFailed(f"it answered {answer.status_code}")
        if b"".join(_CONTENT.findall(answer.content)) != _SAID.encode():
            raise SelfTestFailed("its answer is not the one that it was given")
        async with asyncio.timeout(REPORT_S):
            await exchange.attempt.reported.wait()
        if exchange.attempt.usage is None:
            raise SelfTestFailed("it reports no usage")
    except TimeoutError:
        raise SelfTestFailed("its callbacks are not called") from None
    finally:
        CURRENT.reset(token)
        exchanges.remove(exchange)


async def _check_transport(stream: bool) -> None:
    """The way to a provider and back: a request in its format, read below LiteLLM, and translated."""
    import litellm

    exchange = _rehearsal(stream)
    token = CURRENT.set(exchange)
    try:
        answer: Any = await litellm.acompletion(
            model="openai/self-test",
            messages=_MESSAGES,
            stream=stream,
            api_base="http://self-test.invalid/v1",
            api_key="none",
            max_retries=0,
            **({"stream_options": {"include_usage": True}} if stream else {}),
        )
        if stream:
            said = "".join([chunk.choices[0].delta.content or "" async for chunk in answer if chunk.choices])
        else:
            said = answer.choices[0].message.content
    finally:
        CURRENT.reset(token)
    if not exchange.attempt.asked or exchange.attempt.seen.usage != _USAGE:
        raise SelfTestFailed("what leaves by it, or comes back, is not seen")
    if said != _SAID:
        raise SelfTestFailed("an answer comes out of it as another one")


def _answer_of(request: httpx.Request) -> httpx.Response:
    """The answer of a provider to a rehearsed request."""
    asked = orjson.loads(request.content)
    if asked.get("messages") != _MESSAGES:
        raise SelfTestFailed("a request comes out of it as another one")
    usage = {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}
    shape = {"id": "self-test", "created": 1, "model": "self-test"}
    if not asked.get("stream"):
        choice = {"index": 0, "message": {"role": "assistant", "content": _SAID}, "finish_reason": "stop"}
        return httpx.Response(200, json={**shape, "object": "chat.completion", "choices": [choice], "usage": usage})
    shape["object"] = "chat.completion.chunk"
    chunks: list[dict[str, Any]] = [
        {**shape, "choices": [{"index": 0, "delta": {"role": "assistant", "content": _SAID}}]},
        {**shape, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]},
        {**shape, "choices": [], "usage": usage},
    ]
    events = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks) + b"data: [DONE]\n\n"
    return httpx.Response(200, headers={"content-type": "text/event-stream"}, content=events)


async def _ask(
    app: Any, asked: dict[str, Any], internal_token: str, exchange: Exchange, path: str = _PATH
) -> httpx.Response:
    async def as_from_the_edge(scope: Any, receive: Any, send: Any) -> None:
        # `custom_auth` believes it. Nobody settles the exchange, so nothing is charged.
        await app({**scope, "scalix": exchange}, receive, send)

    headers = {"authorization": f"Bearer {internal_token}"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(as_from_the_edge), trust_env=False) as client:
        return await client.post(f"http://scalix{path}", json=asked, headers=headers)


def _rehearsal(stream: bool) -> Exchange:
    return nobodys_exchange("warm-up", stream=stream, rehearse=_answer_of)


def nobodys_exchange(
    kind: str, *, stream: bool = False, rehearse: Callable[[httpx.Request], httpx.Response] | None = None
) -> Exchange:
    """An exchange that nobody settles, for a request of the gateway's own: what is seen of it is noted there."""
    request_id = f"{kind}-{secrets.token_hex(8)}"
    call = Call(request_id, Route.CHAT, {"stream": stream}, rehearse=rehearse)
    ask = Ask(request_id, str(THE_OPERATOR.subject), UNLIMITED, 0, 0, 0)
    admitted = Admitted(Receipt(request_id, ask.subject, 0, 0, 0, False), {}, 0)
    return Exchange(Admission(THE_OPERATOR, call, Reservation(ask, admitted, local=True)))


def _open_what_clients_share() -> None:
    """The certificates that every provider's client trusts take 50 ms to read."""
    from litellm.llms.custom_httpx.http_handler import get_ssl_configuration

    get_ssl_configuration()
