"""Joining deltas: what a reader puts together is what it would have put together without."""

import json
from collections.abc import Callable

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.answers.stream_events import EventSplitter
from scalix.domain.answers.stream_joining import Joiner
from scalix.domain.json_codec import JsonCodec
from tests.domain.streams import HEAD, Event, chunk, data, in_pieces, meaning, read_back, streams

ORJSON = JsonCodec(orjson.loads, orjson.dumps)
JSON = JsonCodec(json.loads, lambda value: json.dumps(value, separators=(",", ":")).encode())
JOINERS = [pytest.param(lambda: Joiner(JSON), id="json"), pytest.param(lambda: Joiner(ORJSON), id="orjson")]
CONTENT = {"index": 0, "delta": {"content": "a"}}


def texts(*pieces: str, **more: object) -> list[bytes]:
    return [data(chunk({"index": 0, "delta": {"content": piece, **more}})) for piece in pieces]


@pytest.mark.parametrize("joiner", JOINERS)
@given(stream=streams())
def test_a_joined_stream_means_what_the_stream_meant(joiner: Callable[[], Joiner], stream: list[Event]) -> None:
    known = {event.raw: event for event in stream}
    joined = [read_back(raw, known) for raw in joiner().join([event.raw for event in stream])]
    assert meaning(joined) == meaning(stream)


@given(stream=streams(), draw=st.data())
def test_wherever_reads_end_a_joined_stream_means_the_same(stream: list[Event], draw: st.DataObject) -> None:
    """Bytes cut anywhere, and every read joined or not, as it happens under changing load."""
    whole = b"".join(event.raw for event in stream)
    splitter, joiner = EventSplitter(), Joiner(ORJSON)
    out: list[bytes] = []
    for piece in draw.draw(in_pieces(whole)):
        events = splitter.feed(piece)
        out += joiner.join(events) if draw.draw(st.booleans()) else events
    out.append(splitter.rest())
    again, known = EventSplitter(), {event.raw.strip(b"\r\n"): event for event in stream}
    read = []
    for raw in again.feed(b"".join(out)):
        if raw.strip(b"\r\n"):
            bare = raw.strip(b"\r\n")
            read.append(known[bare] if bare in known else read_back(bare + b"\n\n", {}))
    assert again.rest().strip(b"\r\n") == b""
    assert meaning(read) == meaning([event for event in stream if event.raw.strip(b"\r\n")])


def test_a_run_of_text_becomes_one_event() -> None:
    (joined,) = Joiner(JSON).join(texts("Hello", ", ", "w\u00f6rld \U0001f600\u2028", '"\\'))
    assert json.loads(joined[6:]) == chunk({"index": 0, "delta": {"content": 'Hello, w\u00f6rld \U0001f600\u2028"\\'}})


def test_a_delta_without_a_neighbour_keeps_its_bytes() -> None:
    lonely = b'data:   {"id":"x", "choices" : [{"index":0,"delta":{"content":"a"}}]}\r\n\r\n'
    assert Joiner(JSON).join([b": ping\n\n", lonely, b"data: [DONE]\n\n"])[1] == lonely


def test_padding_goes_only_where_events_are_joined() -> None:
    padded = [data(chunk(CONTENT, obfuscation="xyz")) for _ in range(2)]
    assert Joiner(JSON).join(padded[:1]) == padded[:1]
    (joined,) = Joiner(JSON).join(padded)
    assert "obfuscation" not in json.loads(joined[6:])


def test_a_role_is_news_once() -> None:
    """OpenRouter repeats it in every event; the first stays as it came."""
    events = texts("", "a", "b", role="assistant")
    joined = Joiner(JSON).join(events)
    assert joined[0] == events[0]
    assert [json.loads(event[6:])["choices"][0]["delta"] for event in joined[1:]] == [
        {"content": "ab", "role": "assistant"}
    ]
    other = texts("c", role="user")
    assert Joiner(JSON).join([*events, *other])[-1] == other[0]


def test_empty_texts_beside_the_one_that_goes_on_are_no_hindrance() -> None:
    events = [data(chunk({"index": 0, "delta": {"content": "", "reasoning_content": text}})) for text in "abc"]
    (joined,) = Joiner(JSON).join(events)
    assert json.loads(joined[6:])["choices"][0]["delta"] == {"content": "", "reasoning_content": "abc"}


@pytest.mark.parametrize(
    "differing",
    [
        {"id": "other"},
        {"model": "other"},
        {"created": 1},
        {"system_fingerprint": "fp"},
        {"service_tier": "default"},
        {"usage": None},
    ],
)
def test_deltas_of_different_envelopes_stay_apart(differing: dict[str, object]) -> None:
    events = [data({**HEAD, "choices": [CONTENT]}), data({**HEAD, "choices": [CONTENT], **differing})]
    assert Joiner(JSON).join(events) == events


@pytest.mark.parametrize("joiner", JOINERS)
def test_half_a_character_is_left_as_it_came(joiner: Callable[[], Joiner]) -> None:
    halves = [b'data: {"choices":[{"index":0,"delta":{"content":"\\ud83d"}}]}\n\n'] * 2
    assert joiner().join(halves) == halves
