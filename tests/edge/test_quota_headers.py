"""The headers of a metered answer, word for word."""

from datetime import UTC, datetime

import pytest

from scalix.domain.limits.calendar import window_end_ms, window_index
from scalix.domain.limits.key_limits import KeyLimit, KeyScope, KeyWindow
from scalix.domain.limits.key_states import KeyState, key_states
from scalix.domain.limits.limits import Limit, Metric, Window
from scalix.domain.limits.quota import Tally, WindowState
from scalix.edge.quota_headers import State, duration, quota_headers

NOW_MS = int(datetime(2026, 2, 10, 22, 29, 30, 500_000, tzinfo=UTC).timestamp() * 1000)
URL = "https://scalix.world/pricing"


def state(
    metric: Metric, window: Window, value: int, used: int = 0, held: int = 0, *, enforce: bool = True, at: int = NOW_MS
) -> WindowState:
    limit = Limit(metric, window, value, enforce)
    return WindowState(limit, used, held, window_end_ms(window, window_index(window, at)))


def headers(*states: State, tier: str | None = "free", url: str | None = URL, at: int = NOW_MS) -> dict[str, str]:
    return {name.decode(): value.decode("ascii") for name, value in quota_headers(tier, url, states, at)}


def test_every_header_of_a_free_user() -> None:
    assert headers(
        state(Metric.REQUESTS, Window.HOUR, 10, used=2, held=1),
        state(Metric.REQUESTS, Window.DAY, 50, used=41),
        state(Metric.TOKENS, Window.DAY, 10_000, used=1_234, held=500),
    ) == {
        "x-scalix-tier": "free",
        "x-ratelimit-limit-requests": "10",
        "x-ratelimit-remaining-requests": "7",
        "x-ratelimit-reset-requests": "30m30s",
        "x-ratelimit-limit-tokens": "10000",
        "x-ratelimit-remaining-tokens": "8266",
        "x-ratelimit-reset-tokens": "1h30m30s",
        "ratelimit-policy": '"requests-hour";q=10;w=3600, "requests-day";q=50;w=86400, '
        '"tokens-day";q=10000;qu="tokens";w=86400',
        "ratelimit": '"requests-hour";r=7;t=1830, "requests-day";r=9;t=5430, "tokens-day";r=8266;t=5430',
        "x-scalix-warning": "requests-day 82%; upgrade=https://scalix.world/pricing",
    }


def test_of_two_windows_with_equally_little_left_the_later_one_is_told() -> None:
    both = headers(state(Metric.REQUESTS, Window.HOUR, 5, used=5), state(Metric.REQUESTS, Window.DAY, 9, used=9))
    assert (both["x-ratelimit-limit-requests"], both["x-ratelimit-reset-requests"]) == ("9", "1h30m30s")


def test_nothing_is_left_of_a_window_in_debt() -> None:
    told = headers(state(Metric.TOKENS, Window.DAY, 100, used=250))
    assert told["x-ratelimit-remaining-tokens"] == "0"
    assert told["ratelimit"] == '"tokens-day";r=0;t=5430'
    assert told["x-scalix-warning"] == f"tokens-day 100%; upgrade={URL}"


@pytest.mark.parametrize(
    ("year", "month", "days"), [(2026, 1, 31), (2026, 2, 28), (2028, 2, 29), (2026, 4, 30), (2026, 12, 31)]
)
def test_a_month_is_as_long_as_it_is(year: int, month: int, days: int) -> None:
    at = int(datetime(year, month, 15, tzinfo=UTC).timestamp()) * 1000
    told = headers(state(Metric.REQUESTS, Window.MONTH, 7, at=at), at=at)
    assert told["ratelimit-policy"] == f'"requests-month";q=7;w={days * 86_400}'


def test_money_is_told_in_whole_micro_dollars() -> None:
    told = headers(state(Metric.SPEND, Window.DAY, 2_500_000_000, used=1_999))
    assert told["ratelimit-policy"] == '"spend_usd-day";q=2500000;qu="micro-usd";w=86400'
    assert told["ratelimit"] == '"spend_usd-day";r=2499998;t=5430'
    assert not any(name.startswith("x-ratelimit") for name in told)


def test_integers_stay_within_what_structured_fields_can_carry() -> None:
    told = headers(state(Metric.TOKENS, Window.MINUTE, 2**53 - 1))
    assert told["ratelimit-policy"] == '"tokens-minute";q=999999999999999;qu="tokens";w=60'


@pytest.mark.parametrize(
    ("used", "held", "warning"),
    [
        (7, 0, None),
        (8, 0, "requests-hour 80%"),
        (7, 1, "requests-hour 80%"),
        (9, 0, "requests-hour 90%"),
        (10, 0, "requests-hour 100%"),
    ],
)
def test_the_warning_begins_at_80_percent(used: int, held: int, warning: str | None) -> None:
    told = headers(state(Metric.REQUESTS, Window.HOUR, 10, used=used, held=held), url=None)
    assert told.get("x-scalix-warning") == warning


def test_79_9_percent_is_not_80() -> None:
    assert "x-scalix-warning" not in headers(state(Metric.TOKENS, Window.DAY, 1_000, used=799))


def test_the_warning_names_every_window_that_is_nearly_used_up() -> None:
    told = headers(
        state(Metric.REQUESTS, Window.DAY, 50, used=45), state(Metric.TOKENS, Window.DAY, 10_000, used=8_199)
    )
    assert told["x-scalix-warning"] == f"requests-day 90%, tokens-day 81%; upgrade={URL}"


def test_limits_that_are_not_enforced_are_in_no_header() -> None:
    shadow = state(Metric.REQUESTS, Window.HOUR, 1, used=9, enforce=False)
    assert headers(shadow) == {"x-scalix-tier": "free"}
    told = headers(shadow, state(Metric.REQUESTS, Window.DAY, 50, used=9))
    assert told["ratelimit"] == '"requests-day";r=41;t=5430'
    assert "x-scalix-warning" not in told


def test_the_operator_and_an_unlimited_tier_have_no_limits_to_tell() -> None:
    assert headers(tier=None) == {}
    assert headers(tier="premium") == {"x-scalix-tier": "premium"}


@pytest.mark.parametrize(
    ("tier", "told"),
    [("pro\r\nset-cookie: a=b", "pro\\r\\nset-cookie: a=b"), ("größe", "gr\\xf6\\xdfe"), ("套餐", "\\u5957\\u9910")],
)
def test_an_odd_tier_name_can_neither_break_a_header_nor_add_one(tier: str, told: str) -> None:
    assert headers(tier=tier)["x-scalix-tier"] == told


def test_an_odd_upgrade_address_can_neither() -> None:
    told = headers(state(Metric.REQUESTS, Window.HOUR, 1, used=1), url="https://x.example/\r\nx: é")
    assert told["x-scalix-warning"] == "requests-hour 100%; upgrade=https://x.example/\\r\\nx: \\xe9"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m0s"), (3_600, "1h0m0s"), (90_061, "25h1m1s")]
)
def test_durations_are_written_as_openai_writes_them(seconds: int, text: str) -> None:
    assert duration(seconds) == text


def key_state(
    metric: Metric, window: KeyWindow, value: int, used: int = 0, held: int = 0, *, period_ms: int = 0
) -> KeyState:
    scope = KeyScope("k", "1", (KeyLimit(metric, window, value),), None, NOW_MS - 1_500, period_ms)
    tally = {
        Metric.REQUESTS: Tally(requests_used=used, requests_held=held),
        Metric.TOKENS: Tally(tokens_used=used, tokens_held=held),
        Metric.SPEND: Tally(nano_usd_used=used, nano_usd_held=held),
    }
    [state] = key_states(scope, {window: tally[metric]}, NOW_MS)
    return state


def test_a_keys_limits_stand_beside_its_users_and_the_one_with_the_least_left_counts() -> None:
    assert headers(
        state(Metric.REQUESTS, Window.HOUR, 10, used=2),
        key_state(Metric.REQUESTS, KeyWindow.MINUTE, 5, used=3, held=1),
        key_state(Metric.TOKENS, KeyWindow.MINUTE, 2_000, used=100, held=500),
        key_state(Metric.SPEND, KeyWindow.BUDGET, 2_000_000_000, used=500_000_500, period_ms=86_400_000),
        url=None,
    ) == {
        "x-scalix-tier": "free",
        "x-ratelimit-limit-requests": "5",
        "x-ratelimit-remaining-requests": "1",
        "x-ratelimit-reset-requests": "30s",
        "x-ratelimit-limit-tokens": "2000",
        "x-ratelimit-remaining-tokens": "1400",
        "x-ratelimit-reset-tokens": "30s",
        "ratelimit-policy": '"requests-hour";q=10;w=3600, "key-requests-minute";q=5;w=60, '
        '"key-tokens-minute";q=2000;qu="tokens";w=60, "key-spend_usd-budget";q=2000000;qu="micro-usd";w=86400',
        "ratelimit": '"requests-hour";r=8;t=1830, "key-requests-minute";r=1;t=30, "key-tokens-minute";r=1400;t=30, '
        '"key-spend_usd-budget";r=1499999;t=86399',
        "x-scalix-warning": "key-requests-minute 80%",
    }


def test_a_budget_for_a_keys_whole_life_has_no_window_and_no_reset() -> None:
    told = headers(key_state(Metric.SPEND, KeyWindow.TOTAL, 1_000_000_000, used=250_000_000))
    assert told["ratelimit-policy"] == '"key-spend_usd-total";q=1000000;qu="micro-usd"'
    assert told["ratelimit"] == '"key-spend_usd-total";r=750000'
    assert "x-ratelimit-limit-requests" not in told
