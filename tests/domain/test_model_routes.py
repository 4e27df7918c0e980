"""Which rule of a route decides, and which of its models is chosen."""

from typing import Any

import pytest

from scalix.domain.model_routes import Facts, Rule, chosen

PLAIN: dict[str, Any] = {"hour_utc": 12, "tools": False, "images": False}


@pytest.mark.parametrize(
    ("condition", "meets", "fails"),
    [
        ({"prompt_tokens_over": 100}, {"prompt_tokens": 101}, {"prompt_tokens": 100}),
        ({"prompt_tokens_under": 100}, {"prompt_tokens": 99}, {"prompt_tokens": 100}),
        ({"tools": True}, {"tools": True}, {}),
        ({"tools": False}, {}, {"tools": True}),
        ({"images": True}, {"images": True}, {}),
        ({"hours_utc": (8, 18)}, {"hour_utc": 8}, {"hour_utc": 18}),
        ({"hours_utc": (22, 6)}, {"hour_utc": 23}, {"hour_utc": 6}),
        ({"hours_utc": (22, 6)}, {"hour_utc": 5}, {"hour_utc": 21}),
        ({"hours_utc": (8, 24)}, {"hour_utc": 23}, {"hour_utc": 7}),
        (
            {"tokens_day_left_percent_under": 20},
            {"tokens_day_left_percent": 19.9},
            {"tokens_day_left_percent": 20.0},
        ),
        ({"tokens_day_left_percent_under": 20}, {"tokens_day_left_percent": 0.0}, {"tokens_day_left_percent": None}),
    ],
)
def test_a_rule_fits_what_meets_its_condition(
    condition: dict[str, Any], meets: dict[str, Any], fails: dict[str, Any]
) -> None:
    rule = Rule({"a": 1}, **condition)
    assert rule.conditions == tuple(condition)
    assert rule.fits(Facts(**{**PLAIN, **meets}))
    assert not rule.fits(Facts(**{**PLAIN, **fails}))


def test_all_conditions_of_a_rule_have_to_be_met() -> None:
    rule = Rule({"a": 1}, tools=True, hours_utc=(8, 18))
    assert rule.fits(Facts(12, tools=True, images=False))
    assert not rule.fits(Facts(20, tools=True, images=False))
    assert not rule.fits(Facts(12, tools=False, images=False))


def test_the_first_rule_that_fits_and_has_a_model_of_use_decides() -> None:
    rules = (Rule({"a": 1}, tools=True), Rule({"b": 1}, images=False), Rule({"c": 1}))
    assert chosen(rules, Facts(**PLAIN), lambda name: True, lambda: 0.5) == ("b", rules[1])
    assert chosen(rules, Facts(**PLAIN), lambda name: name != "b", lambda: 0.5) == ("c", rules[2])
    assert chosen(rules, Facts(**PLAIN), lambda name: False, lambda: 0.5) is None


@pytest.mark.parametrize(
    ("at", "model"), [(0.0, "a"), (0.499, "a"), (0.5, "b"), (0.832, "b"), (0.834, "c"), (0.999999, "c")]
)
def test_models_are_chosen_by_weight(at: float, model: str) -> None:
    rule = Rule({"a": 3, "b": 2, "c": 1})
    assert chosen((rule,), Facts(**PLAIN), lambda name: True, lambda: at) == (model, rule)


def test_the_weights_of_models_that_are_not_of_use_are_dealt_to_the_others() -> None:
    rule = Rule({"a": 3, "b": 1, "c": 1})
    assert chosen((rule,), Facts(**PLAIN), lambda name: name != "a", lambda: 0.4) == ("b", rule)
