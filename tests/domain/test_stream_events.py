"""Cutting a stream of server-sent events into events."""

import re

from hypothesis import given
from hypothesis import strategies as st

from scalix.domain.answers.stream_events import EventSplitter
from tests.domain.streams import in_pieces, streams

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.lists(st.tuples(st.binary(max_size=4).map(lambda line: re.sub(rb"[\r\n]", b".", line)), LINE_ENDS))


def fed(pieces: list[bytes], splitter: EventSplitter | None = None) -> tuple[list[bytes], bytes]:
    splitter = splitter or EventSplitter()
    return [event for piece in pieces for event in splitter.feed(piece)], splitter.rest()


def lines_of(stream: bytes) -> list[bytes]:
    return re.split(rb"\r\n|\n|\r", stream)


@given(LINES, st.data())
def test_no_byte_is_lost_changed_or_moved(lines: list[tuple[bytes, bytes]], draw: st.DataObject) -> None:
    stream = b"".join(line + end for line, end in lines)
    events, rest = fed(draw.draw(in_pieces(stream)))
    assert b"".join(events) + rest == stream


@given(LINES, st.data())
def test_every_event_ends_in_an_empty_line_and_has_none_inside(
    lines: list[tuple[bytes, bytes]], draw: st.DataObject
) -> None:
    stream = b"".join(line + end for line, end in lines)
    events, rest = fed(draw.draw(in_pieces(stream)))
    for event in events:
        assert lines_of(event)[-2:] == [b"", b""]
        # Before an event there may be an empty line more, such as the LF of a CRLF that came in two pieces.
        assert b"" not in lines_of(event.lstrip(b"\r\n"))[:-2]
    assert b"" not in lines_of(rest.lstrip(b"\r\n"))[:-1]


@given(streams(), st.data())
def test_wherever_it_is_cut_a_stream_has_the_same_events(stream: list[object], draw: st.DataObject) -> None:
    whole = b"".join(event.raw for event in stream)  # type: ignore[attr-defined]
    at_once, rest = fed([whole])
    in_parts, rest_of_parts = fed(draw.draw(in_pieces(whole)))
    assert [event.strip(b"\r\n") for event in in_parts] == [event.strip(b"\r\n") for event in at_once]
    assert rest.strip(b"\r\n") == rest_of_parts.strip(b"\r\n")


def test_an_event_is_given_back_with_its_last_byte() -> None:
    splitter = EventSplitter()
    for ending in (b"\n\n", b"\r\n\r\n", b"\r\r"):
        assert splitter.feed(b"data: x") == []
        given_back = [event for byte in ending for event in splitter.feed(bytes([byte]))]
        assert len(given_back) == 1
        splitter.feed(b"\n\n")


def test_an_endless_event_is_passed_on_in_parts_and_memory_stays_bounded() -> None:
    splitter = EventSplitter(most_pending_bytes=100)
    assert splitter.feed(b"data: " + b"x" * 90) == []
    (part,) = splitter.feed(b"x" * 10)
    assert part == b"data: " + b"x" * 100
    # Nothing of this stream can be taken for a whole event any more, whatever it looks like.
    assert splitter.feed(b"data: 1\n\ndata: 2\n\n") == [b"data: 1\n\ndata: 2\n\n"]
    assert splitter.rest() == b""
