"""What an answer says of a cap that was cut, and an error of a model's name that was mistyped."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.fallback_rig import Edge, edge, fail
from tests.edge.gates import in_process

CUT = "x-scalix-max-tokens"


@pytest.fixture
async def one(tmp_path: Path, store_url: str, key_prefix: str) -> AsyncIterator[Edge]:
    async with edge(tmp_path, store_url, key_prefix) as made:
        yield made


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/chat/completions", "max_tokens"),
        ("/v1/chat/completions", "max_completion_tokens"),
        ("/v1/completions", "max_tokens"),
        ("/v1/responses", "max_output_tokens"),
        ("/v1/messages", "max_tokens"),
    ],
)
async def test_a_cap_that_was_cut_is_said_in_a_header(one: Edge, path: str, field: str, stream: bool) -> None:
    more: dict[str, Any] = {field: 500}
    answer = await one.ask(path=path, stream=stream, **more)
    assert (answer.headers[CUT], one.app.bodies[0][field]) == ("100; asked=500", 100)


async def test_an_answer_is_no_longer_than_its_tier_allows(tmp_path: Path, store_url: str) -> None:
    tiers = {"free": {"models": ["free-*"], "max_output_tokens": 40}}
    async with in_process(tmp_path, store_url, guard={"tiers": tiers}) as gate:
        assert (await gate.chat()).status == 200
        assert gate.inner.bodies[0]["max_tokens"] == 40


async def test_a_cap_that_holds_and_one_that_nobody_asked_for_say_nothing(one: Edge) -> None:
    cases: list[dict[str, Any]] = [{"max_tokens": 80}, {"max_tokens": 100}, {}]
    for more in cases:
        assert CUT not in (await one.ask(**more)).headers


async def test_a_fallback_with_shorter_answers_says_what_it_cuts(one: Edge) -> None:
    one.app.behaviours["free-one"] = [fail(500)]
    answer = await one.ask(max_tokens=80)
    assert (answer.headers["x-scalix-model-served"], answer.headers[CUT]) == ("free-two", "50; asked=80")
    assert one.app.bodies[-1]["max_tokens"] == 50


@pytest.mark.parametrize(
    ("user", "typed", "meant"),
    [
        ("u", "free-on", "free-one"),
        ("u", "Free One", "free-one"),
        ("u", "openai/alone", "alone"),
        ("u", "bestt", None),  # which this user may not use
        ("rich", "bestt", "best"),
        ("u", "something-else-entirely", None),
        ("u", "free-one" * 40, None),
    ],
)
async def test_a_mistyped_model_is_answered_with_the_one_that_was_meant(
    one: Edge, user: str, typed: str, meant: str | None
) -> None:
    await one.premium()
    answer = await one.ask(typed, user=user)
    message = answer.json()["error"]["message"]
    assert answer.status_code == 404
    assert f"Did you mean '{meant}'?" in message if meant else "Did you mean" not in message
    if "/" not in typed:
        listed = await one.http.get(f"/v1/models/{typed}", params={"user": user})
        said = listed.json()["error"]["message"]
        assert (listed.status_code, f"Did you mean '{meant}'?" in said) == (404, meant is not None), said
