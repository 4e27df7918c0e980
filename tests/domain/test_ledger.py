"""An event's text gives back the event."""

from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.ledger.ledger import EVENT_FIELDS, Detail, Event, detail_words, event_of, name_of, name_word

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


@given(names)
def test_a_name_is_one_word(name: str) -> None:
    word = name_word(name)
    assert word
    assert not set(word) & set(" ,\n=")
    assert name_of(word) == name
