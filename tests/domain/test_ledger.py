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
    EventField,
    Sums,
    event_of,
    event_words,
    last_words,
    later_values,
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
    event = Event("id", "user:u", 1700000000000, key_id, "success", 1, 30, 40, False, detail)
    text = " ".join(event_words(event))
    assert len(text.split(" ")) == len(EVENT_FIELDS)
    assert text.startswith(f"success 1 30 40 0 1700000000000 {name_word(key_id)} ")
    assert event_of("id", "user:u", text) == event
    assert event_of("id", "user:u", f"{text} - - - 1 0 marks") == event  # of a newer version


@given(details, st.sampled_from(["success", "swept"]))
def test_events_of_all_versions_are_read(detail: Detail, outcome: str) -> None:
    event = Event("id", "user:u", 1700000000000, "", outcome, 1, 30, 40, False, detail)
    words = event_words(event)
    of_a_sweep = ["1", "0", "1"] if outcome == "swept" else []
    without_version = " ".join([*words, *of_a_sweep])
    now = " ".join([*words, *of_a_sweep, last_words(detail)])
    newer = " ".join([*words, *of_a_sweep, *last_words(detail).split(" ")[:-1], "a-field-of", "tomorrow", "v9"])
    for text, version in ((without_version, 1), (now, EVENT_VERSION), (newer, 9)):
        found = event_of("id", "user:u", text)
        assert (found, found.version) == (event, version)
        # As gateways of before read them: 23 words, and what a sweep charged behind them.
        assert text.split(" ")[: len(EVENT_FIELDS)] == words
        assert text.split(" ")[len(EVENT_FIELDS) :][: len(of_a_sweep)] == of_a_sweep


@given(names, st.lists(st.text(min_size=1, max_size=20), max_size=3).map(tuple))
def test_which_deployment_was_asked_is_read_and_of_events_of_before_nobody_knows(
    name: str, failed: tuple[str, ...]
) -> None:
    detail = Detail(model="m", deployment=name, engine="direct", failed_deployments=failed)
    words = event_words(Event("id", "user:u", 1700000000000, "", "success", 1, 30, 40, False, detail))
    assert event_of("id", "user:u", " ".join([*words, last_words(detail)])).detail == detail
    for of_before in ([*words, "v2"], words):
        assert event_of("id", "user:u", " ".join(of_before)).detail == Detail(model="m")


def test_a_field_that_comes_later_is_read_where_an_event_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "LATER_FIELDS", (EventField("region", name_word, name_of, since=3),))
    words = event_words(Event("id", "user:u", 1700000000000, "", "success", 1, 30, 40, False, Detail()))
    swept = ["swept", *words[1:], "0", "0", "0"]
    assert later_values(words) == ({}, 1)
    assert later_values([*words, "v2"]) == ({}, 2)
    assert later_values([*words, "eu", "v3"]) == ({"region": "eu"}, 3)
    assert later_values([*swept, "v2"]) == ({}, 2)
    assert later_values([*swept, "eu", "gold", "v4"]) == ({"region": "eu"}, 4)


def test_sums_stay_as_gateways_of_before_read_them() -> None:
    # Each of them refuses a text of more figures, and those that are summed must not change their places.
    assert len(Sums().values()) == 11
    assert EVENT_FIELDS[0].name == "outcome"
    assert EVENT_FIELDS[-1].name == "fallbacks"


@given(names)
def test_a_name_is_one_word(name: str) -> None:
    word = name_word(name)
    assert word
    assert not set(word) & set(" ,\n=")
    assert name_of(word) == name
