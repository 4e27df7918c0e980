"""What a stream is charged whose usage the provider has stated, and LiteLLM has not reported in time."""

from contextlib import suppress
from types import SimpleNamespace
from typing import Any, cast

import httpx
import orjson
import pytest

from scalix.domain.limits.quota import Admitted, Charge, Outcome, Receipt, Settled
from scalix.domain.tokens.usage import Usage
from scalix.edge import accounts
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.edge.answers import Answer
from scalix.edge.asgi import Message
from scalix.edge.patience import Patience
from scalix.edge.replies import Reply
from scalix.litellm_adapter.provider_calls import ProviderCall
from scalix.litellm_adapter.provider_transport import as_response
from scalix.service.exchange.attempts import ProviderError
from scalix.service.exchange.exchanges import Exchanges
from scalix.service.exchange.hidden_work import Speeds
from scalix.service.exchange.settlement import Settlement
from tests.exchanges import made_exchange

TEXT = b'data: {"choices":[{"delta":{"content":"a short answer"}}]}\n\n'
DONE = b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'


def _usage_event(prompt_tokens: int, completion_tokens: int) -> bytes:
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": completion_tokens}
    return b"data: " + orjson.dumps({"choices": [], "usage": usage}) + b"\n\n"


async def _charged(
    stream: bytes,
    *,
    client_left: bool = False,
    reported: Usage | None = None,
    cap_tokens: int = 9999,
    thought_s: float = 0.0,
    counted_tokens: int = 4,
) -> Charge:
    """The charge for a provider's `stream`, read by the transport and sent on. A word is a token. In the end it may
    have thought unseen for `thought_s`."""
    charges: list[Charge] = []
    now_s = [0.0]

    async def settle(receipt: Receipt, charge: Charge) -> Settled:
        charges.append(charge)
        return Settled("settled", {})

    async def send(message: Message) -> None:
        pass

    async def words(model: str, text: str) -> int:
        return len(text.split())

    async def counted() -> int:
        return counted_tokens

    admitted = Admitted(Receipt("r", "operator:master", 1, 50, cap_tokens, False), {}, 1)
    exchange = made_exchange(admitted=admitted)
    request = httpx.Request("POST", "http://provider/v1/chat/completions")
    headers = {"content-type": "text/event-stream"}
    read = await ProviderCall(exchange, request).read(httpx.Response(200, headers=headers, content=stream))
    response = as_response(read, request)
    outage = SimpleNamespace(learn=lambda *learned: None)
    settlement = Settlement(cast(Any, SimpleNamespace(settle=settle)), Exchanges(), cast(Any, outage))
    measures = accounts.Measures(words, counted, Speeds(), lambda: thought_s > 0, lambda: now_s[0])
    account = accounts.Account(exchange, "m", settlement, measures)
    reply = Reply(exchange, "m", send, account, AnswerRepairs(exchange, "m", {}, lambda: 0), lambda: 1)
    answer = Answer(reply, patience := Patience(None))
    async with patience.timer:
        await answer.send({"type": "http.response.start", "status": 200, "headers": list(response.headers.raw)})
        with suppress(httpx.ReadError):  # it has no end where the client leaves before that
            async for part in response.aiter_bytes():
                await answer.send({"type": "http.response.body", "body": part, "more_body": True})
        exchange.client_left, exchange.attempt.usage, exchange.attempt.asked = client_left, reported, True
        now_s[0] = thought_s
        await answer.conclude() if client_left else await answer.send({"type": "http.response.body"})
    return charges[0]


@pytest.fixture(autouse=True)
def _late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "REPORT_WAIT_S", 0)


async def test_what_the_provider_stated_is_charged_when_litellm_reports_too_late() -> None:
    charge = await _charged(TEXT + _usage_event(7, 5000) + DONE)
    assert charge == Charge(Outcome.SUCCESS, 1, 5007, 0)


async def test_a_client_that_leaves_after_the_usage_is_charged_what_was_stated() -> None:
    charge = await _charged(TEXT + _usage_event(7, 5000), client_left=True)
    assert charge == Charge(Outcome.CLIENT_CUT, 1, 5007, 0)


async def test_a_usage_stated_before_a_cut_streams_text_does_not_make_the_text_free() -> None:
    charge = await _charged(_usage_event(7, 1) + TEXT, client_left=True)
    assert charge == Charge(Outcome.CLIENT_CUT, 1, 7 + 3, 0, estimated=True)


@pytest.mark.parametrize(
    ("error", "expected_tokens"),
    [(ProviderError(503, "busy"), 4), (ProviderError(502, "", kind="TransportError"), 4 + 50)],
)
async def test_who_leaves_while_a_provider_that_has_refused_is_to_be_asked_again_pays_no_thoughts(
    error: ProviderError, expected_tokens: int
) -> None:
    charges: list[Charge] = []

    async def settle(receipt: Receipt, charge: Charge) -> Settled:
        charges.append(charge)
        return Settled("settled", {})

    async def words(model: str, text: str) -> int:
        return len(text.split())

    async def counted() -> int:
        return 4

    now_s = [0.0]
    exchange = made_exchange(
        admitted=Admitted(Receipt("r", "operator:master", 4, 50, 50, False), {}, 1), streamed=False
    )
    settlement = Settlement(
        cast(Any, SimpleNamespace(settle=settle)), Exchanges(), cast(Any, SimpleNamespace(learn=lambda *learned: None))
    )
    measures = accounts.Measures(words, counted, Speeds(), lambda: None, lambda: now_s[0])
    account = accounts.Account(exchange, "m", settlement, measures)
    exchange.attempt.asked, exchange.attempt.seen.error, exchange.client_left = True, error, True
    now_s[0] = 60.0
    await account.settle(Outcome.CLIENT_LEFT)
    assert (charges[0].tokens, charges[0].outcome) == (expected_tokens, Outcome.CLIENT_LEFT)


async def test_what_litellm_reported_goes_before_what_was_seen() -> None:
    charge = await _charged(TEXT + _usage_event(7, 5000) + DONE, reported=Usage(8, 6000))
    assert charge == Charge(Outcome.SUCCESS, 1, 6008, 0)


async def test_a_usage_that_cant_be_true_is_still_counted() -> None:
    charge = await _charged(TEXT + _usage_event(7, -5) + DONE)
    assert charge.estimated
    assert charge.tokens == 4 + 3


async def test_what_is_thought_unseen_is_no_more_than_was_reserved() -> None:
    for thought_s, thought_tokens in ((2.0, 300), (1e9, 1_000 - 3)):
        charge = await _charged(TEXT, client_left=True, cap_tokens=1_000, thought_s=thought_s)
        assert charge.tokens == 4 + 3 + thought_tokens


async def test_a_prompt_that_is_counted_afterwards_has_no_more_tokens_than_were_reserved_for_it() -> None:
    assert (await _charged(TEXT + DONE, counted_tokens=400)).tokens == 50 + 3
