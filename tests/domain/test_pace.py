"""What comes next at a pace."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.limits.limits import Limit, Metric, Window
from scalix.domain.limits.pace import Pace, pace_of
from scalix.domain.limits.quota import WindowState

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
MIDNIGHT_MS = 20_000 * DAY_MS


def day(used: int, value: int = 100) -> WindowState:
    return WindowState(Limit(Metric.REQUESTS, Window.DAY, value), used, 0, MIDNIGHT_MS + DAY_MS)


@pytest.mark.parametrize(
    ("used", "after_ms", "pace"),
    [
        (0, 12 * HOUR_MS, Pace(0, None)),
        (40, 12 * HOUR_MS, Pace(80, None)),
        (50, 12 * HOUR_MS, Pace(100, None)),  # reached as it resets
        (75, 12 * HOUR_MS, Pace(150, MIDNIGHT_MS + 16 * HOUR_MS)),
        (100, 12 * HOUR_MS, Pace(200, MIDNIGHT_MS + 12 * HOUR_MS)),
        (130, 18 * HOUR_MS, Pace(173, MIDNIGHT_MS + 18 * HOUR_MS)),
        (1, 0, Pace(25, None)),  # a request at midnight is one in an hour
    ],
)
def test_a_pace_is_what_was_used_since_the_window_began(used: int, after_ms: int, pace: Pace) -> None:
    assert pace_of(day(used), MIDNIGHT_MS + after_ms) == pace


@given(st.integers(0, 200), st.integers(0, 100), st.integers(0, DAY_MS - 1))
def test_a_limit_is_reached_before_its_reset_if_and_only_if_more_than_it_would_be_used(
    used: int, value: int, after_ms: int
) -> None:
    state, now_ms = day(used, value), MIDNIGHT_MS + after_ms
    pace = pace_of(state, now_ms)
    assert pace.at_reset >= used
    if pace.reached_ms is None:
        assert pace.at_reset <= value
    else:
        assert now_ms <= pace.reached_ms < state.reset_ms
        assert pace.at_reset >= value
