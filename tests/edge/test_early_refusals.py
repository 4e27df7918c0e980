"""Refusals before there is a task: only of what is known, and with the answer that the usual way gives."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from scalix.service.identity.throttle import FREE_FAILURES
from tests.edge.gates import MASTER_KEY, Answered, InProcess, in_process

CHAT = {"model": "free-small", "messages": [{"role": "user", "content": "hi"}]}
# The tier `tiny` has one request a day.
USED_UP = {**CHAT, "user": "tina"}


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, store_url) as made:
        await made.call(path="/user/new", body={"user_id": "tina", "tier": "tiny"})
        assert (await made.call(body=USED_UP)).status == 200
        # The second refusal is the first that is kept, and the third shapes its answer.
        assert [(await made.call(body=USED_UP, at_once=False)).status for _ in range(3)] == [429] * 3
        yield made


async def key_of(edge: InProcess, user: str, **fields: Any) -> str:
    answered = await edge.call(path="/key/generate", body={"user_id": user, **fields})
    return str(orjson.loads(answered.body)["key"])


def same(one: Answered, other: Answered) -> bool:
    """Whether two answers differ in nothing but what is each request's own, or tells the second."""
    own = ("x-request-id", "content-length", "content-type")
    mine, theirs = ({k: v for k, v in answer.headers.items() if k not in own} for answer in (one, other))
    return (one.status, one.body, mine) == (other.status, other.body, theirs)


async def both(edge: InProcess, **request: Any) -> tuple[Answered, Answered]:
    """The same request by both ways, within one second of the store's clock."""
    for _ in range(5):
        usual, early, again = (
            await edge.call(**request, at_once=False),
            await edge.call(**request),
            await edge.call(**request, at_once=False),
        )
        if same(usual, again):
            return early, usual
    raise AssertionError("the answer changes with each request")


@pytest.mark.parametrize(
    "request_",
    [
        {"key": "sk-wrong", "body": CHAT},
        {"key": "another", "body": CHAT},
        {"key": None, "body": CHAT},
        {"key": "sk-wrong", "body": b"no json"},
        {"key": "sk-wrong", "path": "/v1/messages", "body": CHAT},
        {"body": USED_UP},
        {"body": {**USED_UP, "stream": True, "max_tokens": 5}},
        {"path": "/messages", "body": {**USED_UP, "max_tokens": 5}},
        {"path": "/v1/embeddings", "body": {"model": "free-small", "input": "x", "user": "tina"}},
    ],
)
async def test_what_is_known_is_refused_at_once_with_the_usual_answer(edge: InProcess, request_: Any) -> None:
    early, usual = await both(edge, address="127.0.0.1", **request_)
    assert early.was_at_once
    assert early.status in (401, 429)
    assert same(early, usual)
    assert len(early.headers["x-request-id"]) == 32


async def test_a_key_of_one_who_has_no_room_left_is_refused_like_them(edge: InProcess) -> None:
    key = await key_of(edge, "other")
    assert (await edge.call(key=key, body=CHAT)).status == 200
    early, usual = await both(edge, key=await key_of(edge, "tina"), body=CHAT)
    assert (early.status, early.was_at_once) == (429, False)  # a key has limits of its own, which the store knows
    assert same(early, usual)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        ({"body": {**USED_UP, "model": "large"}}, 403),
        ({"body": {**USED_UP, "model": "none"}}, 404),
        ({"body": {**USED_UP, "messages": "text"}}, 400),
        ({"body": {**USED_UP, "api_base": "http://x"}}, 400),
        ({"body": b"[]"}, 400),
        ({"body": b"{"}, 400),
        ({"body": {**CHAT, "user": "tina" * 100}}, 400),
        ({"body": USED_UP, "headers": [(b"content-encoding", b"gzip")]}, 400),
        ({"body": CHAT, "key": "sk-wrong", "host": b"no host!"}, 400),
        ({"body": CHAT, "key": "sk-wrong", "headers": [(b"x-api-key", b"sk-other")]}, 401),
        ({"body": {**CHAT, "user": "unseen"}}, 200),
        ({"body": CHAT}, 200),
    ],
)
async def test_all_else_takes_the_usual_way(edge: InProcess, request_: Any, status: int) -> None:
    answered = await edge.call(**request_)
    assert (answered.status, answered.was_at_once) == (status, False)


async def test_a_reset_holds_for_the_next_request(edge: InProcess) -> None:
    assert (await edge.call(body=USED_UP)).status == 429
    assert (await edge.call(path="/user/reset", body={"user_id": "tina", "windows": "all"})).status == 200
    assert (await edge.call(body=USED_UP)).status == 200


async def test_a_key_that_was_just_blocked_is_not_taken_from_memory(edge: InProcess) -> None:
    key = await key_of(edge, "bob")
    assert (await edge.call(key=key, body=CHAT)).status == 200
    await edge.call(path="/key/block", body={"key": key})
    assert (await edge.call(key=key, body=CHAT)).status == 403


async def test_wrong_keys_of_one_address_are_held_back_and_counted_once_each(edge: InProcess) -> None:
    request: Any = {"key": "sk-wrong", "body": CHAT, "address": "198.51.100.4"}
    answers = [await edge.call(**request) for _ in range(FREE_FAILURES)]
    assert [answer.was_at_once for answer in answers] == [True] * FREE_FAILURES
    began_s = time.monotonic()
    held_back = await edge.call(**request)
    assert (held_back.status, held_back.was_at_once) == (401, False)
    assert time.monotonic() - began_s > 0.05  # the delay of the first beyond the free ones, not of one counted twice


async def test_whose_request_it_is_is_found_out_once(edge: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    identity, own = edge.gate._identity, edge.gate._identity.authenticate

    async def authenticate(credential: Any) -> Any:
        asked.append(credential.token)
        return await own(credential)

    monkeypatch.setattr(identity, "authenticate", authenticate)
    assert (await edge.call(body=CHAT)).status == 200
    assert not asked
    assert (await edge.call(body=CHAT, at_once=False)).status == 200
    assert len(asked) == 1


async def test_refusals_are_counted_either_way(edge: InProcess) -> None:
    name = 'scalix_refusals_total{code="invalid_api_key"}'
    before = edge.core.usage.meters.cells.read().get(name, 0)
    await edge.call(key="sk-wrong", body=CHAT, address="127.0.0.1")
    await edge.call(key="sk-wrong", body=CHAT, address="127.0.0.1", at_once=False)
    assert edge.core.usage.meters.cells.read()[name] == before + 2


async def test_a_fault_on_the_way_leaves_the_request_to_the_usual_way(
    edge: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> Any:
        raise ValueError("a fault")

    monkeypatch.setattr(edge.gate._forwarding, "known_refusal", broken)
    answered = await edge.call(body=USED_UP)
    assert (answered.status, answered.was_at_once) == (429, False)


async def test_the_same_wrong_key_again_on_its_connection_is_not_looked_at_anew(
    edge: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[Any] = []
    early, own = edge.gate._early, edge.gate._identity.known

    def known(credential: Any) -> Any:
        looked.append(credential.token)
        return own(credential)

    monkeypatch.setattr(edge.gate._identity, "known", known)
    now_s = 100.0
    monkeypatch.setattr(early, "_clock", lambda: now_s)
    request: Any = {"key": "sk-wrong", "body": CHAT, "address": "127.0.0.1", "connection": {}}
    assert [(await edge.call(**request)).status for _ in range(3)] == [401] * 3
    assert looked == ["sk-wrong"]
    assert (await edge.call(**{**request, "key": "sk-other"})).status == 401
    assert (await edge.call(**{**request, "key": MASTER_KEY})).status == 200
    assert looked == ["sk-wrong", "sk-other", MASTER_KEY]
    assert (await edge.call(**request)).status == 401
    now_s += 2
    assert (await edge.call(**request)).status == 401
    assert looked[3:] == ["sk-wrong", "sk-wrong"]


async def test_a_body_is_looked_at_for_those_alone_who_may_be_refused(
    edge: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = await key_of(edge, "bob")
    assert (await edge.call(key=key, body=CHAT)).status == 200
    admission = edge.gate._forwarding._admission
    monkeypatch.setattr(admission, "known_refusal", lambda *args: pytest.fail("there is somebody else's refusal"))
    answered = await edge.call(key=key, body=CHAT)
    assert (answered.status, answered.was_at_once) == (200, False)
