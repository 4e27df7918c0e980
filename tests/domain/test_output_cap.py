"""What a body asks for as output, and what nonsense it is refused for."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.errors import BadRequest
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.output_cap import MAX_TOKENS, OutputRequest, output_request, with_cap

WITH_OUTPUT = [Route.CHAT, Route.COMPLETIONS, Route.RESPONSES, Route.MESSAGES]
USUAL = {
    Route.CHAT: "max_tokens",
    Route.COMPLETIONS: "max_tokens",
    Route.RESPONSES: "max_output_tokens",
    Route.MESSAGES: "max_tokens",
}


@pytest.mark.parametrize("route", WITH_OUTPUT)
def test_a_body_without_a_cap_gets_the_routes_usual_name(route: Route) -> None:
    request = output_request(route, {"model": "m"})
    assert request == OutputRequest(USUAL[route], None, (USUAL[route],), choices=1, min_tokens=16)


@pytest.mark.parametrize("route", WITH_OUTPUT)
def test_a_cap_is_taken_from_the_routes_usual_name(route: Route) -> None:
    assert output_request(route, {USUAL[route]: 300}).cap_tokens == 300


def test_the_name_the_client_used_is_the_one_written() -> None:
    body: dict[str, Any] = {"max_completion_tokens": 500}
    request = output_request(Route.CHAT, body)
    assert request.field == "max_completion_tokens"
    with_cap(body, request, 120)
    assert body == {"max_completion_tokens": 120}


def test_where_two_caps_disagree_the_smaller_holds_and_both_are_written() -> None:
    body: dict[str, Any] = {"max_tokens": 900, "max_completion_tokens": 200}
    request = output_request(Route.CHAT, body)
    assert (request.cap_tokens, request.fields) == (200, ("max_tokens", "max_completion_tokens"))
    with_cap(body, request, 200)
    assert body == {"max_tokens": 200, "max_completion_tokens": 200}


def test_a_cap_under_another_routes_name_cannot_lift_ours() -> None:
    body: dict[str, Any] = {"max_output_tokens": 100_000}
    request = output_request(Route.MESSAGES, body)
    with_cap(body, request, 50)
    assert body == {"max_tokens": 50, "max_output_tokens": 50}


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n", "best_of"])
@pytest.mark.parametrize("value", [True, False, "100", "", 1.5, float("inf"), float("nan"), 0, -1, -0.0, [], {}, [5]])
def test_nonsense_is_refused_with_the_name_of_its_field(name: str, value: Any) -> None:
    with pytest.raises(BadRequest, match=f"`{name}`") as refusal:
        output_request(Route.CHAT, {name: value})
    assert refusal.value.param == name


@pytest.mark.parametrize("name", ["n", "best_of"])
def test_more_than_128_choices_are_refused(name: str) -> None:
    assert output_request(Route.CHAT, {name: 128}).choices == 128
    with pytest.raises(BadRequest, match="from 1 to 128"):
        output_request(Route.CHAT, {name: 129})


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n", "best_of", "thinking"])
def test_null_is_absent(name: str) -> None:
    assert output_request(Route.CHAT, {name: None}) == output_request(Route.CHAT, {})


def test_a_float_that_is_a_whole_number_is_one() -> None:
    assert output_request(Route.CHAT, {"max_tokens": 64.0, "n": 2.0}) == output_request(
        Route.CHAT, {"max_tokens": 64, "n": 2}
    )


@pytest.mark.parametrize("value", [2**31, 2**53 + 1, 2**64, 10**400, 1e300])
def test_a_huge_cap_is_clamped(value: float) -> None:
    assert output_request(Route.CHAT, {"max_tokens": value}).cap_tokens == MAX_TOKENS


def test_choices_are_the_most_that_may_be_generated() -> None:
    assert output_request(Route.CHAT, {"n": 3}).choices == 3
    assert output_request(Route.COMPLETIONS, {"n": 2, "best_of": 5, "prompt": "a"}).choices == 5


@pytest.mark.parametrize(
    ("prompt", "choices"),
    [("a", 2), (["a", "b", "c"], 6), ([1, 2, 3], 2), ([[1, 2], [3]], 4), ([], 2), (["a"], 2), (7, 2)],
)
def test_each_prompt_of_a_completion_has_its_choices(prompt: Any, choices: int) -> None:
    assert output_request(Route.COMPLETIONS, {"n": 2, "prompt": prompt}).choices == choices


def test_best_of_below_n_is_refused() -> None:
    with pytest.raises(BadRequest, match="at least `n`") as refusal:
        output_request(Route.COMPLETIONS, {"n": 4, "best_of": 3})
    assert refusal.value.param == "best_of"


@pytest.mark.parametrize(
    "budget",
    [
        {"thinking": {"type": "enabled", "budget_tokens": 1024}},
        {"reasoning": {"max_tokens": 1024}},
        {"thinking_budget": 1024},
    ],
)
@pytest.mark.parametrize("route", [Route.CHAT, Route.MESSAGES])
def test_an_answer_needs_room_for_more_than_the_thinking(route: Route, budget: dict[str, Any]) -> None:
    assert output_request(route, budget).min_tokens == 1025
    assert output_request(route, budget | {"max_tokens": 4000}).min_tokens == 1025
    with pytest.raises(BadRequest, match="greater than") as refusal:
        output_request(route, budget | {"max_tokens": 1024})
    assert refusal.value.param == "max_tokens"


def test_thinking_that_is_off_needs_no_room() -> None:
    assert output_request(Route.MESSAGES, {"thinking": {"type": "disabled", "budget_tokens": 5000}}).min_tokens == 16


@pytest.mark.parametrize("value", [True, "1024", -1, 10.5])
def test_a_budget_that_is_nonsense_is_refused(value: Any) -> None:
    with pytest.raises(BadRequest) as refusal:
        output_request(Route.MESSAGES, {"thinking": {"type": "enabled", "budget_tokens": value}})
    assert refusal.value.param == "thinking.budget_tokens"


def test_the_floor_is_never_above_what_was_asked() -> None:
    assert output_request(Route.CHAT, {"max_tokens": 5}).min_tokens == 5


def test_embeddings_have_no_output() -> None:
    body: dict[str, Any] = {"input": ["a", "b"], "max_tokens": "x", "n": -1}
    request = output_request(Route.EMBEDDINGS, body)
    assert request == OutputRequest(None, 0, (), choices=1, min_tokens=0)
    with_cap(body, request, 10)
    assert body == {"input": ["a", "b"], "max_tokens": "x", "n": -1}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["max_tokens", "max_completion_tokens", "max_output_tokens", "n", "best_of", "thinking", "reasoning", "prompt"]


@given(route=st.sampled_from(Route), body=st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_any_body_gives_a_sound_request_or_is_refused(route: Route, body: dict[str, Any]) -> None:
    try:
        request = output_request(route, body)
    except BadRequest:
        return
    assert request.choices >= 1
    assert request.cap_tokens is None or 0 <= request.min_tokens <= request.cap_tokens <= MAX_TOKENS
    granted = dict(body)
    with_cap(granted, request, 1)
    caps = [granted[name] for name in FIELDS[:3] if granted.get(name) is not None]
    assert not route.row.generates or (caps and set(caps) == {1})


def test_more_prompts_than_openai_takes_at_once_are_refused() -> None:
    output_request(Route.COMPLETIONS, {"prompt": ["a"] * 2_048})
    with pytest.raises(BadRequest, match="at most 2048 prompts"):
        output_request(Route.COMPLETIONS, {"prompt": ["a"] * 2_049, "n": 128})
