"""A user's own limits: what may be written, what it gives over a tier's, and what is said of nonsense."""

import json
from decimal import Decimal
from typing import Any

import pytest

from scalix.domain.limits.limit_overrides import LimitSyntaxError, parse_overrides
from scalix.domain.limits.limits import UNLIMITED, Limit, Limits, Metric, Window

TIER = Limits(
    (
        Limit(Metric.REQUESTS, Window.HOUR, 10),
        Limit(Metric.REQUESTS, Window.DAY, 50),
        Limit(Metric.TOKENS, Window.DAY, 10_000),
    ),
    concurrent=4,
)


def over(value: Any, limits: Limits = TIER) -> Limits:
    return parse_overrides(value).over(limits)


def test_no_overrides_leave_the_tiers_limits() -> None:
    assert over({}) is TIER


def test_one_entry_replaces_one_entry_and_the_others_stay() -> None:
    assert over({"requests": {"hour": 20}}) == Limits(
        (
            Limit(Metric.REQUESTS, Window.HOUR, 20),
            Limit(Metric.REQUESTS, Window.DAY, 50),
            Limit(Metric.TOKENS, Window.DAY, 10_000),
        ),
        concurrent=4,
    )


def test_null_lifts_a_limit() -> None:
    limits = over({"requests": {"day": None}, "tokens": {"day": None}, "concurrent": None})
    assert limits == Limits((Limit(Metric.REQUESTS, Window.HOUR, 10),), concurrent=None)


def test_new_entries_stand_in_the_order_of_metrics_and_windows() -> None:
    limits = over({"spend_usd": {"month": 2.5}, "requests": {"minute": {"limit": 3, "enforce": False}}}, TIER)
    assert [(limit.name, limit.value, limit.enforce) for limit in limits.windows] == [
        ("requests-minute", 3, False),
        ("requests-hour", 10, True),
        ("requests-day", 50, True),
        ("tokens-day", 10_000, True),
        ("spend_usd-month", 2_500_000_000, True),
    ]


def test_concurrent_may_be_a_shadow() -> None:
    limits = over({"concurrent": {"limit": 2, "enforce": False}}, UNLIMITED)
    assert (limits.concurrent, limits.enforce_concurrent) == (2, False)


@pytest.mark.parametrize("written", ["0.1", "19.99", "0.000000001", "1e-3", "1234567.891"])
def test_money_from_json_is_exact(written: str) -> None:
    (limit,) = over({"spend_usd": {"day": json.loads(written)}}, UNLIMITED).windows
    assert limit.value == Decimal(written) * 10**9


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], 'limits is not an object; write for example {"requests": {"hour": 20}}, or {}'),
        (None, 'limits is not an object; write for example {"requests": {"hour": 20}}, or {}'),
        ({"reqests": {}}, "limits.reqests is not known; write 'requests'"),
        ({"rpm": 1}, "limits.rpm is not known; known are requests, tokens, spend_usd, concurrent"),
        ({"requests": {"hours": 1}}, "limits.requests.hours is not known; write 'hour'"),
        (
            {"requests": {}},
            "limits.requests names no window; write for example {hour: 20, day: null}, or remove the key for the "
            "tier's limits",
        ),
        ({"requests": None}, "limits.requests names no window"),
        ({"requests": 5}, "limits.requests names no window"),
        (
            {"requests": {"hour": -2}},
            "limits.requests.hour is not 0 or a positive whole number; write a number such as 100, "
            "or null for no limit",
        ),
        ({"requests": {"hour": -1}}, "limits.requests.hour is not 0 or a positive whole number"),
        ({"requests": {"hour": True}}, "limits.requests.hour is not 0 or a positive whole number"),
        ({"requests": {"hour": "10"}}, "limits.requests.hour is not 0 or a positive whole number"),
        ({"tokens": {"day": 1.0}}, "limits.tokens.day is not 0 or a positive whole number"),
        ({"tokens": {"day": 2**53}}, "limits.tokens.day is not 0 or a positive whole number"),
        ({"spend_usd": {"day": -1}}, "limits.spend_usd.day is not 0 or a positive amount in US dollars"),
        ({"spend_usd": {"day": 1e-10}}, "limits.spend_usd.day is finer than a nano-dollar"),
        ({"spend_usd": {"day": 1e300}}, "limits.spend_usd.day is finer than a nano-dollar or too large"),
        ({"concurrent": -1}, "limits.concurrent is not 0 or a positive whole number"),
        ({"requests": {"hour": {"enforce": False}}}, "limits.requests.hour has no 'limit'; add limit: 100"),
        ({"requests": {"hour": {"limit": 1, "enforce": 0}}}, "limits.requests.hour.enforce is neither true nor false"),
        ({"requests": {"hour": {"limit": 1, "enforced": True}}}, "limits.requests.hour.enforced is not known; write"),
        ({"requests": {"hour": {"limit": None}}}, "limits.requests.hour is not 0 or a positive whole number"),
    ],
)
def test_nonsense_is_refused_with_its_place_and_what_to_write(value: Any, message: str) -> None:
    with pytest.raises(LimitSyntaxError) as caught:
        parse_overrides(value)
    assert str(caught.value).startswith(message)


def test_which_limits_are_the_users_own_is_known() -> None:
    own = parse_overrides({"requests": {"hour": None}})
    assert own.replaces(Metric.REQUESTS, Window.HOUR)
    assert not own.replaces(Metric.REQUESTS, Window.DAY)
