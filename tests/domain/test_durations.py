"""Lengths of time as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.limits.durations import in_words, length_in_letters


@pytest.mark.parametrize(
    ("length_s", "words", "letters"),
    [
        (0, "in 1 second", "1 s"),
        (59, "in 59 seconds", "59 s"),
        (60, "in 1 minute", "1 min"),
        (2_851, "in 48 minutes", "48 min"),
        (3_600, "in 1 hour", "1 h"),
        (4_800, "in 1 hour 20 minutes", "1 h 20 min"),
        (80_000, "in 23 hours", "23 h"),
        (86_399, "in 1 day", "1 d"),
        (100_000, "in 1 day 4 hours", "1 d 4 h"),
        (2_000_000, "in 24 days", "24 d"),
    ],
)
def test_a_length_is_told_in_the_units_that_people_use(length_s: int, words: str, letters: str) -> None:
    assert (in_words(length_s * 1000), length_in_letters(length_s * 1000)) == (words, letters)


@given(st.integers(0, 400 * 86_400_000))
def test_who_waits_as_long_as_is_told_has_waited_long_enough(length_ms: int) -> None:
    in_one = {"s": 1_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}
    words = length_in_letters(length_ms).split()
    told_ms = sum(int(count) * in_one[unit] for count, unit in zip(words[::2], words[1::2], strict=True))
    assert length_ms <= told_ms <= max(1_000, length_ms + in_one[words[-1]])
