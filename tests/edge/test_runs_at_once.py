"""Deltas that go to the client at once are counted as all others, and keep their place among them."""

from types import SimpleNamespace
from typing import Any, cast

import orjson

from scalix.domain.answers.plain_deltas import PlainDeltas, Run
from scalix.domain.json_codec import JsonCodec
from scalix.domain.limits.quota import Admitted, Charge, Receipt, Settled
from scalix.edge.accounts import Account, Measures
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.edge.answers import Answer
from scalix.edge.asgi import Message
from scalix.edge.patience import Patience
from scalix.edge.replies import Reply
from scalix.service.exchange.exchanges import Exchanges
from scalix.service.exchange.hidden_work import Speeds
from scalix.service.exchange.settlement import Settlement
from tests.exchanges import made_exchange

WORD = b'data: {"id":"c","model":"m","choices":[{"index":0,"delta":{"content":"word "},"finish_reason":null}]}\n\n'
DONE = b"data: [DONE]\n\n"


def run_of(count: int) -> Run:
    plain = PlainDeltas(JsonCodec(orjson.loads, orjson.dumps))
    plain.learn(WORD)
    run = plain.whole(WORD * count)
    assert run is not None
    return run


async def test_they_are_counted_and_keep_their_place() -> None:
    charges: list[Charge] = []
    wire: list[bytes] = []
    has_room = True

    async def settle(receipt: Receipt, charge: Charge) -> Settled:
        charges.append(charge)
        return Settled("settled", {})

    async def send(message: Message) -> None:
        if message.get("body"):
            wire.append(message["body"])

    async def words(model: str, text: str) -> int:
        return len(text.split())

    async def counted() -> int:
        return 4

    def write(part: bytes) -> bool:
        if has_room:
            wire.append(part)
        return has_room

    exchange = made_exchange(admitted=Admitted(Receipt("r", "operator:master", 4, 50, 9999, False), {}, 1))
    exchange.write_at_once = write
    outage = SimpleNamespace(learn=lambda *learned: None)
    settlement = Settlement(cast(Any, SimpleNamespace(settle=settle)), Exchanges(), cast(Any, outage))
    account = Account(exchange, "m", settlement, Measures(words, counted, Speeds()))
    repairs = AnswerRepairs(exchange, "m", {}, lambda: 0)
    answer = Answer(Reply(exchange, "m", send, account, repairs, lambda: 1), patience := Patience(None))
    exchange.attempt.reported.set()
    async with patience.timer:
        headers = [(b"content-type", b"text/event-stream")]
        await answer.send({"type": "http.response.start", "status": 200, "headers": headers})
        assert not exchange.attempt.pass_run(run_of(1))  # its head has not gone out
        await answer.send({"type": "http.response.body", "body": WORD, "more_body": True})
        assert exchange.attempt.pass_run(run_of(3))
        has_room = False
        assert not exchange.attempt.pass_run(run_of(1))
        has_room = True
        await answer.send({"type": "http.response.body", "body": WORD[:20], "more_body": True})
        assert not exchange.attempt.pass_run(run_of(1))  # half an event is on its way
        await answer.send({"type": "http.response.body", "body": WORD[20:], "more_body": True})
        for _ in range(1_000):  # more than is kept uncounted
            if not exchange.attempt.pass_run(run_of(10)):
                break
        await answer.send({"type": "http.response.body", "body": DONE, "more_body": True})
        assert not exchange.attempt.pass_run(run_of(1))  # the end is held back until it is settled
        await answer.send({"type": "http.response.body", "body": b""})
    said = b"".join(wire)
    assert said.endswith(DONE)
    assert 500 < said.count(b"word ") < 10_000
    assert charges[0].tokens == 4 + said.count(b"word ")
