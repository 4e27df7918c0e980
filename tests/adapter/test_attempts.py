"""What comes late of a model that has been given up is not taken for the next one's."""

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from litellm.exceptions import APIConnectionError, BadRequestError, RateLimitError, Timeout

from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Admitted, Receipt
from scalix.domain.tokens.usage import Usage
from scalix.litellm_adapter.bridge import ATTEMPT, EXCHANGE_ID, Services, bridge
from scalix.litellm_adapter.callbacks import GatewayCallbacks, custom_auth
from scalix.litellm_adapter.direct_endpoints import edge_caller
from scalix.litellm_adapter.provider_calls import ProviderCall
from scalix.litellm_adapter.provider_transport import as_response, watched
from scalix.litellm_adapter.reports import failure_of
from scalix.service.answers.provider_errors import provider_error
from scalix.service.exchange.attempts import Attempt, Seen
from scalix.service.exchange.exchanges import CURRENT, Exchange, Exchanges
from tests.exchanges import made_exchange

STREAM = {"content-type": "text/event-stream"}
EVENT = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\n'
USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":9}}\n\n'
REQUEST = httpx.Request("POST", "http://provider/v1/chat/completions")


@pytest.fixture
def exchange(monkeypatch: pytest.MonkeyPatch) -> Exchange:
    admitted = Admitted(Receipt("r", "operator:master", 1, 50, 9999, False), {}, 1)
    made = made_exchange(admitted=admitted)
    exchanges = Exchanges()
    exchanges.add(made)
    none = cast(Any, None)
    monkeypatch.setattr(bridge, "services", Services(none, none, none, exchanges, under_edge=True))
    return made


async def _metadata(exchange: Exchange) -> dict[str, Any]:
    request = cast(Any, SimpleNamespace(scope={"scalix": exchange}, state=SimpleNamespace()))
    auth = await custom_auth(request, "")
    assert edge_caller(exchange).metadata == auth.metadata
    return dict(auth.metadata)


def _event(metadata: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"litellm_params": {"metadata": {"user_api_key_metadata": metadata}}, **more}


async def test_events_of_a_model_that_was_given_up_change_nothing(exchange: Exchange) -> None:
    old = await _metadata(exchange)
    exchange.begin_next()
    hooks, auth = GatewayCallbacks(), cast(Any, SimpleNamespace(metadata=old))
    answer = {"usage": {"prompt_tokens": 9, "completion_tokens": 9}}
    payload = {"model_group": "old", "response_cost": 5.0}
    await hooks.async_log_success_event(_event(old, standard_logging_object=payload), answer, None, None)
    await hooks.async_log_failure_event(_event(old, exception=ValueError()), None, None, None)
    await hooks.async_post_call_failure_hook({}, ValueError(), auth)
    await hooks.async_post_call_success_hook({}, auth, answer)

    assert (exchange.attempt.usage, exchange.attempt.cost_nano_usd, exchange.attempt.served_model) == (None, None, None)
    assert exchange.attempt.failures == []
    assert not exchange.attempt.reported.is_set()

    new = await _metadata(exchange)
    assert (new[EXCHANGE_ID], old[ATTEMPT], new[ATTEMPT]) == ("r", 1, 2)
    await hooks.async_log_failure_event(_event(new, exception=ValueError()), None, None, None)
    assert len(exchange.attempt.failures) == 1


async def test_a_next_model_starts_with_nothing_of_the_former(exchange: Exchange) -> None:
    exchange.attempt.usage = exchange.attempt.seen.usage = Usage(9, 9)
    exchange.attempt.seen.prompt_tokens = exchange.attempt.cost_nano_usd = 9
    exchange.attempt.seen.states_usage = exchange.attempt.cache_hit = True
    exchange.attempt.seen.error = provider_error(500, httpx.Headers(), b"")
    exchange.attempt.reported.set()
    heard = exchange.attempt.reported
    exchange.begin_next()

    now = exchange.attempt
    assert now == Attempt(2, reported=now.reported, text_choices=now.text_choices)
    assert exchange.attempt.reported is not heard
    assert not exchange.attempt.reported.is_set()


async def test_a_stream_of_a_model_that_was_given_up_notes_nothing_more(exchange: Exchange) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield EVENT
        yield USAGE
        raise httpx.ReadError("gone")

    response = httpx.Response(200, headers=STREAM, content=pieces())
    read = as_response(await ProviderCall(exchange, REQUEST).read(response), REQUEST)
    exchange.begin_next()
    with pytest.raises(httpx.ReadError):
        await read.aread()
    assert exchange.attempt.seen == Seen()


async def _asked(exchange: Exchange, answer: httpx.Response | Exception) -> httpx.Response:
    async def handle(self: object, request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    token = CURRENT.set(exchange)
    try:
        return await watched(handle)(None, REQUEST)
    finally:
        CURRENT.reset(token)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("x"), "ConnectError"),
        (httpx.ReadError("x"), "TransportError"),
        (httpx.RemoteProtocolError("x"), "TransportError"),
        (httpx.ConnectTimeout("x"), "ConnectError"),
        (httpx.ReadTimeout("x"), "TimeoutException"),
    ],
)
async def test_a_call_without_an_answer_is_noted_as_what_it_is(
    exchange: Exchange, error: httpx.TransportError, kind: str
) -> None:
    with pytest.raises(type(error)):
        await _asked(exchange, error)
    assert exchange.attempt.seen.error is not None
    assert exchange.attempt.seen.error.kind == kind


@pytest.mark.parametrize(
    "error", [httpx.PoolTimeout("x"), httpx.UnsupportedProtocol("x"), httpx.LocalProtocolError("x")]
)
async def test_what_did_not_leave_us_is_no_question_to_the_provider(
    exchange: Exchange, error: httpx.TransportError
) -> None:
    with pytest.raises(type(error)):
        await _asked(exchange, error)
    assert (exchange.attempt.asked, exchange.attempt.seen.error) == (False, None)


@pytest.mark.parametrize("length", [10, 20_000])
async def test_a_long_error_is_cut_for_litellm_and_read_whole_here(exchange: Exchange, length: int) -> None:
    said = "m" * length
    error = {"message": said, "type": "invalid_request_error", "param": None, "code": "c"}
    answer = await _asked(exchange, httpx.Response(400, json={"error": error}))
    assert exchange.attempt.seen.error is not None
    assert (exchange.attempt.seen.error.message, exchange.attempt.seen.error.kind) == (said, "c invalid_request_error")
    assert answer.json()["error"]["message"] == said[:4_096]
    assert len(answer.content) < 4_096 + 200


async def test_a_stream_that_breaks_off_is_noted_before_litellm_hears_of_it(exchange: Exchange) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield EVENT
        raise httpx.ReadTimeout("slow")

    read = await _asked(exchange, httpx.Response(200, headers=STREAM, content=pieces()))
    with pytest.raises(httpx.ReadTimeout):
        await read.aread()
    assert exchange.attempt.seen.error is not None
    assert exchange.attempt.seen.error.kind == "TimeoutException"


@pytest.mark.parametrize("status", [401, 403])
async def test_litellm_reads_no_more_of_a_refused_key_than_that(exchange: Exchange, status: int) -> None:
    """Otherwise it asks again, and writes what the provider says of our account."""
    canary = {"error": {"message": "org-canary has no access", "type": "invalid_request_error"}}
    answer = await _asked(exchange, httpx.Response(status, json=canary))
    assert answer.status_code == 401
    assert b"canary" not in answer.content
    assert exchange.attempt.seen.error is not None
    assert exchange.attempt.seen.error.status == status


async def test_an_error_at_the_start_of_a_stream_has_its_codes(exchange: Exchange) -> None:
    events = b'data: {"error":{"message":"m","code":"context_length_exceeded"}}\n\n'
    answer = await _asked(exchange, httpx.Response(200, headers=STREAM, content=events))
    assert answer.status_code == 502
    assert exchange.attempt.seen.error is not None
    assert exchange.attempt.seen.error.kind == "context_length_exceeded"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RateLimitError("m", "openai", "m"), ErrorClass.PROVIDER_RATE_LIMIT),
        (RateLimitError("insufficient_quota", "openai", "m"), ErrorClass.PROVIDER_QUOTA),
        (Timeout("m", "m", "openai"), ErrorClass.TIMEOUT),
        (APIConnectionError("m", "openai", "m"), ErrorClass.NETWORK),
        (BadRequestError("m", "m", "openai"), ErrorClass.BAD_REQUEST),
        (BadRequestError("This model's maximum context length is 5", "m", "openai"), ErrorClass.CONTEXT_TOO_LONG),
    ],
)
def test_litellms_exceptions_have_their_class(error: Exception, expected: ErrorClass) -> None:
    assert failure_of(error).error_class is expected
