"""An event's text gives back the event."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.ledger import ledger
from scalix.domain.ledger.ledger import (
    EVENT_FIELDS,
    EVENT_VERSION,
    Detail,
    Event,
    Sums,
    detail_words,
    event_of,
    event_text,
    later_words,
    name_of,
    name_word,
)

names = st.text(max_size=20)
counts = st.integers(0, 2**53)
details = st.builds(
    Detail,
    *[names] * 4,
    *[counts] * 6,
    price_version=names,
    latency_ms=counts,
    first_token_ms=st.none() | counts,
    streamed=st.booleans(),
    cache_hit=st.booleans(),
    error=names,
    fallbacks=st.lists(st.text(min_size=1, max_size=20), max_size=3).map(tuple),
)


@given(details, names)
def test_an_events_text_gives_back_the_event(detail: Detail, key_id: str) -> None:
    head = ["success", "1", "30", "40", "0", "1700000000000", name_word(key_id)]
    text = " ".join([*head, *detail_words(detail)])
    assert len(text.split(" ")) == len(EVENT_FIELDS)
    event = Event("id", "user:u", 1700000000000, key_id, "success", 1, 30, 40, False, detail)
    assert event_of("id", "user:u", text) == event
    assert event_of("id", "user:u", text + " 1 0 marks") == event


@given(details, st.sampled_from(["success", "swept"]))
def test_events_of_all_versions_are_read(detail: Detail, outcome: str) -> None:
    words = [outcome, "1", "30", "40", "0", "1700000000000", "-", *detail_words(detail)]
    of_a_sweep = ["1", "0", "1"] if outcome == "swept" else []
    event = Event("id", "user:u", 1700000000000, "", outcome, 1, 30, 40, False, detail)
    without_version = " ".join([*words, *of_a_sweep])
    now = event_text(words, of_a_sweep)
    newer = " ".join([*words, *of_a_sweep, "a-field-of", "tomorrow", "v9"])
    for text, version in ((without_version, 1), (now, EVENT_VERSION), (newer, 9)):
        found = event_of("id", "user:u", text)
        assert (found, found.version) == (event, version)
        # As gateways of before read them: 23 words, and what a sweep charged behind them.
        assert text.split(" ")[: len(EVENT_FIELDS)] == words
        assert text.split(" ")[len(EVENT_FIELDS) :][: len(of_a_sweep)] == of_a_sweep


def test_a_field_that_comes_later_is_read_where_an_event_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LATER_FIELDS", ("region",))
    words = ["success", "1", "30", "40", "0", "1700000000000", "-", *detail_words(Detail())]
    swept = ["swept", *words[1:], "0", "0", "0"]
    assert later_words(words) == ({}, 1)
    assert later_words([*words, "v2"]) == ({}, 2)
    assert later_words([*words, "eu", "v3"]) == ({"region": "eu"}, 3)
    assert later_words([*swept, "v2"]) == ({}, 2)
    assert later_words([*swept, "eu", "gold", "v4"]) == ({"region": "eu"}, 4)


def test_sums_stay_as_gateways_of_before_read_them() -> None:
    # Each of them refuses a text of more figures, and those that are summed must not change their places.
    assert len(Sums().values()) == 11
    assert EVENT_FIELDS[0] == "outcome"
    assert EVENT_FIELDS[-1] == "fallbacks"


@given(names)
def test_a_name_is_one_word(name: str) -> None:
    word = name_word(name)
    assert word
    assert not set(word) & set(" ,\n=")
    assert name_of(word) == name
