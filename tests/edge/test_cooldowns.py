"""What a model that is left alone means for requests."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.tokens.usage import Usage
from scalix.edge.asgi import send_bytes
from scalix.service.exchange.attempts import NO_CONNECTION
from scalix.store.connection.deadline import granted_store_time
from tests.edge.fallback_rig import (
    CONFIG,
    Asked,
    Behaviour,
    Edge,
    break_off,
    edge,
    fail,
    hang,
    serve,
    untranslatable,
)

SERVED = "x-scalix-model-served"


@pytest.fixture
async def one(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix) as made:
        yield made


async def test_a_failing_model_is_passed_over_and_not_asked(one: Edge) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    for number in range(5):
        assert (await one.ask(user=f"user-{number}")).headers[SERVED] == "free-two"
    assert one.app.asked.count("free-one") == 3


async def test_without_another_model_the_answer_is_503_at_once_for_nothing_and_until_when(one: Edge) -> None:
    one.app.behaviours["alone"] = [fail(429, retry_after_s=120)]
    assert (await one.ask("alone")).status_code == 503
    answer = await one.ask("alone")

    assert answer.status_code == 503
    assert 118 <= int(answer.headers["retry-after"]) <= 120
    assert "has kept failing" in answer.json()["error"]["message"]
    assert SERVED not in answer.headers
    assert one.app.asked == ["alone"]
    assert len(one.charges) == 1


async def test_another_instance_leaves_it_alone_too(tmp_path: Path, store_url: str, key_prefix: str) -> None:
    async with (
        edge(tmp_path, store_url, key_prefix, name="one") as one,
        edge(tmp_path, store_url, key_prefix, name="two") as two,
    ):
        for worker in (one, two):
            worker.app.behaviours["alone"] = [fail(500)]
        for number in range(3):
            await one.ask("alone", user=f"user-{number}")
        await asyncio.gather(*one.core.exchange.fallbacks.cooldowns._sending)
        await two.core.exchange.fallbacks.cooldowns.refresh()
        answer = await two.ask("alone")

        assert (answer.status_code, two.app.asked) == (503, [])
        assert 1 <= int(answer.headers["retry-after"]) <= 30


async def test_what_others_are_told_does_not_draw_on_the_time_of_the_request_that_found_it(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    """A request that has waited for the store as long as it may still tells the others of the model that failed it."""

    async def with_no_time_left(asked: Asked) -> None:
        granted = granted_store_time()
        assert granted is not None
        granted.left_ms = 0
        await fail(429, retry_after_s=120)(asked)

    async with (
        edge(tmp_path, store_url, key_prefix, name="one") as one,
        edge(tmp_path, store_url, key_prefix, name="two") as two,
    ):
        one.app.behaviours["alone"] = [with_no_time_left]
        # In a task of its own, as at the server, or this test would be what has no time left.
        assert (await asyncio.create_task(one.ask("alone"))).status_code == 503
        assert len(one.charges) == 1
        await asyncio.gather(*one.core.exchange.fallbacks.cooldowns._sending)
        await two.core.exchange.fallbacks.cooldowns.refresh()
        assert (await two.ask("alone")).status_code == 503
        assert two.app.asked == []


async def test_what_is_wrong_with_requests_leaves_no_model_alone(one: Edge) -> None:
    """Also where a client has the provider repeat words that mean something else."""
    for message in ("bad", "API key not valid", "insufficient_quota", "content policy"):
        one.app.behaviours["alone"] = [fail(400, message)]
        for _ in range(4):
            await one.ask("alone")
    assert one.core.exchange.fallbacks.cooldowns.wait_s("alone") == 0


async def test_streams_that_break_off_count(one: Edge) -> None:
    one.app.behaviours["alone"] = [break_off]
    for number in range(3):
        await one.ask("alone", stream=True, user=f"user-{number}")
    assert one.core.exchange.fallbacks.cooldowns.wait_s("alone") > 0


async def test_one_request_tries_whether_it_works_again(tmp_path: Path, store_url: str, key_prefix: str) -> None:
    async with edge(tmp_path, store_url, key_prefix, CONFIG + "  cooldown: {failures: 1}\n") as one:
        cooldowns = one.core.exchange.fallbacks.cooldowns
        one.app.behaviours["alone"] = [fail(500), serve]
        assert (await one.ask("alone")).status_code == 503
        assert (await one.ask("alone")).status_code == 503
        now_s = cooldowns._clock()
        cooldowns._clock = lambda: now_s + 20
        assert (await one.ask("alone")).status_code == 200
        assert (await one.ask("alone")).status_code == 200
        assert one.app.asked == ["alone"] * 3


async def test_a_request_that_never_left_uses_up_no_one_elses_turn_to_try(one: Edge) -> None:
    cooldowns = one.core.exchange.fallbacks.cooldowns
    cooldowns.failed("alone", is_everybodys=True)
    now_s = cooldowns._clock()
    cooldowns._clock = lambda: now_s + 20
    one.app.behaviours["alone"] = [untranslatable, serve]
    assert (await one.ask("alone", user="mallory", tools=[{"type": "function"}])).status_code == 400
    assert (await one.ask("alone", user="alice")).status_code == 200


async def test_what_stands_in_for_a_model_left_alone_gets_what_it_can_take(one: Edge) -> None:
    one.core.exchange.fallbacks.cooldowns.failed("free-one", "user:x", 60, is_everybodys=True)
    await one.ask(max_tokens=90)
    assert [(body["model"], body["max_tokens"]) for body in one.app.bodies] == [("free-two", 50)]


async def test_a_caller_who_may_not_use_a_model_is_not_told_how_it_is(one: Edge) -> None:
    one.core.exchange.fallbacks.cooldowns.failed("best", "user:x", 60, is_everybodys=True)
    assert (await one.ask("best")).status_code == 403


async def _hung_up_on(tmp_path: Path, store_url: str, key_prefix: str, behaviour: Behaviour, **more: Any) -> float:
    """How long a model is left alone by whom it lets wait once."""
    settings = "  retries: {first_byte_s: 1, whole_answer_s: 1}\n  cooldown: {failures: 1}\n"
    config = CONFIG.replace("tokens: {day", "requests: {day")  # an image by URL needs a tier without a token limit
    async with edge(tmp_path, store_url, key_prefix, config + settings) as one:
        one.app.behaviours["free-one"] = [behaviour]
        assert (await one.ask(stream=True, **more)).headers[SERVED] == "free-two"
        return one.core.exchange.fallbacks.cooldowns.wait_s("free-one", "user:u")


async def test_a_model_that_says_nothing_is_left_alone(tmp_path: Path, store_url: str, key_prefix: str) -> None:
    assert await _hung_up_on(tmp_path, store_url, key_prefix, hang) > 0


async def test_one_that_thinks_for_long_or_waits_for_a_clients_image_is_not(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    """Anybody could take it from everybody else."""

    async def think(asked: Asked) -> None:
        async def nothing() -> None:
            pass

        asked.exchange.attempt.hang_up = nothing
        await hang(asked)

    image = {"type": "image_url", "image_url": {"url": "https://example.com/slow.png"}}
    messages = [{"role": "user", "content": [{"type": "text", "text": "hi"}, image]}]
    assert await _hung_up_on(tmp_path, store_url, key_prefix, think) == 0
    assert await _hung_up_on(tmp_path, store_url, key_prefix, hang, messages=messages) == 0


async def test_a_model_that_had_only_the_rest_of_anothers_time_is_not(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    async def fail_late(asked: Asked) -> None:
        await asyncio.sleep(0.7)
        await fail(500)(asked)

    settings = "  retries: {first_byte_s: 1, whole_answer_s: 1}\n  cooldown: {failures: 1}\n"
    async with edge(tmp_path, store_url, key_prefix, CONFIG + settings) as one:
        one.app.behaviours |= {"free-one": [fail_late], "best": [hang]}
        assert (await one.ask(user=await one.premium())).headers[SERVED] == "free-two"
        assert one.core.exchange.fallbacks.cooldowns.wait_s("free-one", "user:rich") > 0
        assert one.core.exchange.fallbacks.cooldowns.wait_s("best") == 0


async def test_one_user_whose_requests_fail_takes_the_model_from_nobody_else(one: Edge) -> None:
    """Whatever a provider fails of may have been written to make it fail."""
    # Given a user whose requests the provider answers with 500, again and again
    one.app.behaviours["alone"] = [fail(500)]
    for _ in range(20):
        assert (await one.ask("alone", user="mallory")).status_code == 503
    asked = len(one.app.asked)
    assert asked == 3  # the model rests for that user
    # When somebody else asks
    one.app.behaviours["alone"] = [serve]
    answers = [await one.ask("alone", user=user) for user in ("alice", "bob")]
    # Then they are served at once
    assert [answer.status_code for answer in answers] == [200, 200]
    assert (await one.ask("alone", user="mallory")).status_code == 503


@pytest.mark.parametrize(
    ("status", "kind"), [(401, ""), (402, ""), (403, "permission_error"), (403, "PERMISSION_DENIED")]
)
async def test_what_a_provider_says_of_our_account_is_true_for_everybody(one: Edge, status: int, kind: str) -> None:
    one.app.behaviours["alone"] = [fail(status, "no", kind)]
    assert (await one.ask("alone", user="alice")).status_code == 503
    assert (await one.ask("alone", user="bob")).status_code == 503
    assert one.app.asked == ["alone"]


async def test_where_no_connection_can_be_made_nobody_has_to_try(one: Edge) -> None:
    one.app.behaviours["alone"] = [fail(502, kind=NO_CONNECTION)]
    assert (await one.ask("alone", user="alice")).status_code == 503
    assert (await one.ask("alone", user="bob")).status_code == 503
    assert one.app.asked == ["alone"]


async def test_what_never_left_the_gateway_blames_nobody_and_goes_to_no_other_model(one: Edge) -> None:
    # Given a request that can't be put to a provider, which has tools in it
    one.app.behaviours["free-one"] = [untranslatable]
    tools = [{"type": "function", "function": {"name": "f", "parameters": "text"}}]
    # When it is sent twenty times
    answers = [await one.ask(user="mallory", tools=tools) for _ in range(20)]
    # Then each is the client's mistake, counted as a request, and the model serves everybody
    assert {answer.status_code for answer in answers} == {400}
    assert answers[0].json()["error"]["code"] == "invalid_request"
    assert set(one.app.asked) == {"free-one"}
    assert {(charge.requests, charge.tokens, charge.nano_usd) for _, charge in one.charges} == {(1, 0, 0)}
    one.app.behaviours["free-one"] = [serve]
    assert (await one.ask(user="alice")).headers[SERVED] == "free-one"
    assert (await one.ask(user="mallory")).headers[SERVED] == "free-one"


async def test_a_simple_text_that_never_left_is_our_own_fault_and_free(one: Edge) -> None:
    one.app.behaviours["free-one"] = [untranslatable]
    answer = await one.ask()
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert one.app.asked == ["free-one"]
    assert [(charge.requests, charge.tokens) for _, charge in one.charges] == [(0, 0)]


@pytest.mark.parametrize("more", [{}, {"stream": True}])
async def test_a_whole_answer_that_can_not_be_translated_is_charged_once_and_tried_nowhere_else(
    one: Edge, more: dict[str, Any]
) -> None:
    async def answer_and_fail(asked: Asked) -> None:
        asked.exchange.attempt.asked = asked.exchange.attempt.seen.answered_whole = True
        asked.exchange.attempt.seen.usage, asked.exchange.attempt.seen.states_usage = Usage(50, 16_000), True
        await send_bytes(asked.send, 422, b'{"error": {"message": "canary-of-a-raw-body"}}')

    one.app.behaviours["free-one"] = [answer_and_fail]
    answer = await one.ask(**more)
    assert answer.status_code == 502
    assert answer.json()["error"]["code"] == "answer_untranslatable"
    assert answer.headers["x-should-retry"] == "false"
    assert "canary" not in answer.text
    assert one.app.asked == ["free-one"]
    assert [(charge.requests, charge.tokens) for _, charge in one.charges] == [(1, 16_050)]
    assert one.core.exchange.fallbacks.cooldowns.wait_s("free-one", "user:u") == 0
