"""Who takes over when a model fails, and what is told and charged then."""

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Outcome
from scalix.domain.requests.model_fields import EVERYTHING, Known
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.usage import Usage
from scalix.launch.config.config_file import read_config
from tests.edge.fallback_rig import CONFIG, Asked, Behaviour, Edge, break_off, crash, edge, empty, fail, hang, serve

PATHS = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses", "/v1/messages"]
SERVED = "x-scalix-model-served"
QUICK = CONFIG + "  retries: {first_byte_s: 1, whole_answer_s: 1}\n  cooldown: {seconds: 0}\n"


@pytest.fixture
async def one(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", PATHS)
async def test_the_next_model_answers_on_every_route_and_the_request_is_charged_once(
    one: Edge, path: str, stream: bool
) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    more: dict[str, Any] = {"stream": True} if stream and not path.endswith("embeddings") else {}
    answer = await one.ask(path=path, **more)

    assert answer.status_code == 200, answer.text
    assert answer.headers[SERVED] == "free-two"
    assert one.app.asked == ["free-one", "free-two"]
    ((_, charge),) = one.charges
    assert (charge.requests, charge.tokens) == (1, 12)
    ending = one.exchanges[0].ending
    assert ending is not None
    assert (ending.served, ending.tried, ending.error) == ("free-two", ("free-one",), None)


@pytest.mark.parametrize(
    "failure",
    [
        *(fail(status) for status in (401, 402, 403, 404, 408, 429, 500, 502, 503, 504, 529)),
        fail(429, kind="insufficient_quota"),
        fail(502, kind="TransportError"),
        fail(504, kind="TimeoutException"),
        fail(400, "Your credit balance is too low to access the API."),
        fail(400, "API key not valid. Please pass a valid API key.", "INVALID_ARGUMENT API_KEY_INVALID"),
        fail(400, "flagged", "content_filter"),
        crash,
        empty,
    ],
)
async def test_whatever_another_model_may_mend_is_given_to_it(one: Edge, failure: Behaviour) -> None:
    one.app.behaviours["free-one"] = [failure]
    answer = await one.ask()
    assert (answer.status_code, answer.headers[SERVED]) == (200, "free-two")


@pytest.mark.parametrize("status", [400, 413, 422])
async def test_what_is_wrong_with_the_request_is_given_to_nobody_else(one: Edge, status: int) -> None:
    one.app.behaviours["free-one"] = [fail(status, "'temperature' is out of range")]
    answer = await one.ask()

    assert (answer.status_code, one.app.asked) == (status, ["free-one"])
    assert SERVED not in answer.headers
    assert one.charges[0][1].outcome is Outcome.PROVIDER_REFUSED
    assert (ending := one.exchanges[0].ending) is not None
    assert ending.error is ErrorClass.BAD_REQUEST


async def test_a_caller_never_reaches_a_model_that_their_tier_does_not_have(one: Edge) -> None:
    one.app.behaviours |= {"free-one": [fail(500)], "free-two": [fail(500)]}
    assert (await one.ask()).status_code == 503
    assert one.app.asked == ["free-one", "free-two"]
    assert (await one.ask("best")).status_code == 403

    one.app.bodies.clear()
    assert (await one.ask(user=await one.premium())).headers[SERVED] == "best"
    assert one.app.asked == ["free-one", "best"]


async def test_a_virtual_key_reaches_only_its_own_models(one: Edge) -> None:
    made = await one.http.post(
        "/key/generate", json={"user_id": await one.premium(), "models": ["free-one", "free-two"]}
    )
    one.app.behaviours["free-one"] = [fail(500)]
    one.http.headers["authorization"] = f"Bearer {made.json()['key']}"
    assert (await one.ask()).headers[SERVED] == "free-two"


async def test_when_all_fail_the_client_reads_of_the_first_and_pays_nothing(one: Edge) -> None:
    one.app.behaviours |= {
        "free-one": [fail(429, retry_after_s=17)],
        "best": [fail(400, "unknown field")],
        "free-two": [fail(500)],
    }
    answer = await one.ask(user=await one.premium())

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "17"
    assert SERVED not in answer.headers
    error = answer.json()["error"]
    assert "'free-one' could not answer, nor could 2 other models" in error["message"]
    assert (error["code"], error["scalix"]["category"]) == ("provider_unavailable", "provider_rate_limit")
    ((_, charge),) = one.charges
    assert (charge.outcome, charge.requests, charge.tokens) == (Outcome.PROVIDER_FAILED, 0, 0)
    assert charge.detail.error in ("", "provider_rate_limit")
    assert one.exchanges[0].tried == ["free-one", "best", "free-two"]
    assert one.exchanges[0].attempt.served_model is None


async def test_what_is_too_long_goes_only_to_a_larger_model(one: Edge) -> None:
    one.app.behaviours |= {"free-one": [fail(400, "x", "context_length_exceeded")]}
    small = await one.ask()
    assert (small.status_code, one.app.asked) == (400, ["free-one"])
    assert "larger context window" in small.json()["error"]["message"]
    assert one.charges[0][1].requests == 1

    large = await one.ask(user=await one.premium())
    assert large.headers[SERVED] == "best"


async def test_a_stream_that_has_begun_is_not_begun_again(one: Edge) -> None:
    one.app.behaviours["free-one"] = [break_off]
    answer = await one.ask(stream=True)

    assert one.app.asked == ["free-one"]
    assert answer.headers[SERVED] == "free-one"
    assert "broke off in the middle" in answer.text
    assert (ending := one.exchanges[0].ending) is not None
    assert ending.error is not None
    assert one.charges[0][1].outcome is Outcome.PROVIDER_BROKE


@pytest.mark.parametrize("stream", [False, True])
async def test_a_model_that_says_nothing_in_time_is_left_for_one_other(
    tmp_path: Path, store_url: str, key_prefix: str, stream: bool
) -> None:
    async with edge(tmp_path, store_url, key_prefix, QUICK) as one:
        one.app.behaviours["free-one"] = [hang]
        answer = await one.ask(stream=stream)
        assert answer.headers[SERVED] == "free-two"
        assert one.charges[0][1].tokens == 12

        one.app.behaviours["best"] = [fail(500)]
        failed = await one.ask(stream=stream, user=await one.premium())
        assert failed.status_code == 503
        assert failed.json()["error"]["scalix"]["category"] == "timeout"
        assert one.exchanges[-1].tried == ["free-one", "best"]


async def test_a_model_that_streams_and_thinks_is_waited_for_as_long_as_for_a_whole_answer(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    async def think(asked: Asked) -> None:
        asked.exchange.attempt.on_open()
        await asyncio.sleep(1.2)
        await serve(asked)

    patient = CONFIG + "  retries: {first_byte_s: 1, whole_answer_s: 60}\n  cooldown: {seconds: 0}\n"
    async with edge(tmp_path, store_url, key_prefix, patient) as one:
        one.app.behaviours["free-one"] = [think]
        assert (await one.ask(stream=True)).headers[SERVED] == "free-one"


async def test_no_more_models_are_tried_than_configured(tmp_path: Path, store_url: str, key_prefix: str) -> None:
    async with edge(tmp_path, store_url, key_prefix, CONFIG + "  retries: {models: 2, same_model: 1}\n") as one:
        one.app.behaviours |= {"free-one": [fail(500)], "best": [fail(500)]}
        assert (await one.ask(user=await one.premium())).status_code == 503
        assert one.app.asked == ["free-one", "best"]
        assert [body["num_retries"] for body in one.app.bodies] == [1, 1]


async def test_a_model_that_others_may_follow_is_asked_again_once_at_most(one: Edge) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    await one.ask()
    await one.ask("alone")
    assert [body["num_retries"] for body in one.app.bodies] == [1, 2, 2]


async def test_the_answer_of_a_fallback_is_no_longer_than_it_can_be(one: Edge) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    await one.ask(max_tokens=80)
    await one.ask()
    assert [body["max_tokens"] for body in one.app.bodies] == [80, 50, 100, 50]


async def test_a_fallback_that_can_not_think_as_long_is_passed_over(one: Edge) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    answer = await one.ask(path="/v1/messages", thinking={"type": "enabled", "budget_tokens": 70}, max_tokens=90)
    assert (answer.status_code, one.app.asked) == (503, ["free-one"])


def _half_known(model: str, route: Route) -> Known:
    """What the models of the tests can be told: two of them do not know some fields."""
    unknown = frozenset({"seed", "logit_bias", "stop", "n", "response_format", "presence_penalty"})
    return Known(unknown=unknown) if model in ("free-two", "alone") else EVERYTHING


@pytest.fixture
async def half(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix, known=_half_known) as made:
        yield made


HINTS: list[dict[str, Any]] = [{"seed": 1}, {"logit_bias": {}}, {"stop": []}, {"n": 1}, {"presence_penalty": 0.0}]
CHANGES: list[dict[str, Any]] = [
    *({"logit_bias": {"1": 1}}, {"stop": "x"}, {"n": 2}, {"presence_penalty": 0.1}),
    {"response_format": {"type": "json_object"}},
]


@pytest.mark.parametrize("asked", ["alone", "free-one"], ids=["directly", "as a fallback"])
@pytest.mark.parametrize("fields", HINTS, ids=str)
async def test_a_hint_that_a_model_does_not_know_is_left_out_and_named(
    half: Edge, fields: dict[str, Any], asked: str
) -> None:
    half.app.behaviours["free-one"] = [fail(500)]
    answer = await half.ask(asked, nobodys=1, **fields)
    (name,) = fields
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-scalix-dropped"] == f"nobodys, {name}"
    assert name not in half.app.bodies[-1]
    if asked == "free-one":
        assert half.app.bodies[0][name] == fields[name]  # which knew it


@pytest.mark.parametrize("fields", CHANGES, ids=str)
async def test_what_would_change_the_answer_is_a_free_400_of_a_model_that_does_not_know_it(
    half: Edge, fields: dict[str, Any]
) -> None:
    answer = await half.ask("alone", **fields)
    (name,) = fields
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], half.app.asked, half.charges) == (400, name, [], [])
    assert "'alone'" in error["message"]
    assert "drop" not in error["message"]  # which its reader can't

    half.app.behaviours["free-one"] = [fail(500)]
    answer = await half.ask("free-one", **fields)
    assert (answer.status_code, half.app.asked) == (503, ["free-one"])  # no fallback gives another answer either


async def test_the_header_names_what_the_model_that_served_was_not_told(half: Edge) -> None:
    half.app.behaviours["free-one"] = [fail(500)]
    streamed = await half.ask("free-one", stream=True, seed=5)
    assert streamed.headers["x-scalix-dropped"] == "seed"
    half.app.behaviours["free-one"] = [serve]
    assert "x-scalix-dropped" not in (await half.ask("free-one", seed=5)).headers


async def test_fields_beside_the_api_go_to_the_provider_under_a_name_that_litellm_passes_on(one: Edge) -> None:
    await one.ask(min_p=0.1, provider={"order": ["a"]})
    assert one.app.bodies[-1]["extra_body"] == {"min_p": 0.1, "provider": {"order": ["a"]}}
    assert not {"min_p", "provider"} & one.app.bodies[-1].keys()


async def test_what_an_earlier_model_left_behind_is_not_charged(one: Edge) -> None:
    """Its usage, its cost, and an event of it that comes late."""

    async def use_and_fail(asked: Asked) -> None:
        exchange = asked.exchange
        exchange.attempt.seen.usage = exchange.attempt.usage = Usage(1000, 1000)
        exchange.attempt.seen.states_usage, exchange.attempt.cost_nano_usd = True, 999_999
        await fail(500)(asked)

    one.app.behaviours["free-one"] = [use_and_fail]
    await one.ask()
    ((_, charge),) = one.charges
    assert charge.tokens == 12
    assert charge.nano_usd < 999_999


async def test_fallbacks_hold_from_the_next_request_on_after_a_reload(one: Edge) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    one.config.write_text(CONFIG.replace("free-one: [best, free-two], ", ""), encoding="utf-8")
    one.core.policy.replace(read_config(one.config, {}).policy)
    assert (await one.ask()).status_code == 503


async def test_a_client_that_has_left_sets_nobody_else_to_work(one: Edge) -> None:
    async def leave(asked: Asked) -> None:
        asked.exchange.client_left = True
        await fail(500)(asked)

    one.app.behaviours["free-one"] = [leave]
    await one.ask()
    assert one.app.asked == ["free-one"]


async def test_a_crash_is_told_in_no_answer_and_without_a_stack(one: Edge, caplog: pytest.LogCaptureFixture) -> None:
    one.app.behaviours |= {"alone": [crash]}
    with caplog.at_level(logging.DEBUG):
        answer = await one.ask("alone")
    assert answer.status_code == 503
    assert answer.json()["error"]["scalix"]["category"] == "internal"
    assert "RuntimeError" in caplog.text
    assert "canary-of-a-crash" not in answer.text + caplog.text


async def test_a_tier_that_was_taken_away_elsewhere_takes_its_fallbacks_along(
    tmp_path: Path, store_url: str, key_prefix: str
) -> None:
    """Admission alone finds out that what is cached of a caller is old."""
    async with (
        edge(tmp_path, store_url, key_prefix, name="one") as one,
        edge(tmp_path, store_url, key_prefix, name="two") as two,
    ):
        assert (await one.ask(user=await one.premium())).status_code == 200
        changed = await two.http.post("/user/update", json={"user_id": "rich", "tier": "free"})
        assert changed.status_code == 200
        one.app.bodies.clear()
        one.app.behaviours["free-one"] = [fail(500)]
        answer = await one.ask(user="rich")
        assert (answer.headers[SERVED], one.app.asked) == ("free-two", ["free-one", "free-two"])
