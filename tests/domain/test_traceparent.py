"""`traceparent` and `tracestate`, by https://www.w3.org/TR/trace-context/."""

import pytest

from scalix.domain.traceparent import Place, place_of

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
RIGHT = f"00-{TRACE}-{SPAN}-01"


def test_what_is_right_is_read_and_written_again_as_it_was() -> None:
    place = place_of(RIGHT, "blue=1, red@vendor=a b ,,a/b*_-=x")
    assert place == Place(int(TRACE, 16), int(SPAN, 16), True, "blue=1,red@vendor=a b,a/b*_-=x")
    assert place.headers == (("traceparent", RIGHT), ("tracestate", "blue=1,red@vendor=a b,a/b*_-=x"))
    assert Place(1, 2, False).headers == (("traceparent", f"00-{1:032x}-{2:016x}-00"),)


@pytest.mark.parametrize(("flags", "sampled"), [("00", False), ("01", True), ("02", False), ("03", True), ("ff", True)])
def test_of_the_flags_the_last_bit_says_whether_it_is_recorded(flags: str, sampled: bool) -> None:
    place = place_of(f"00-{TRACE}-{SPAN}-{flags}")
    assert place is not None
    assert place.sampled is sampled


def test_a_later_version_may_have_more_behind_the_flags() -> None:
    assert place_of(f"01-{TRACE}-{SPAN}-01-more") == place_of(RIGHT)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "00",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0١",
        f"01-{TRACE}-{SPAN}-01-{'x' * 1000}",
        f"{RIGHT}, {RIGHT}",
    ],
)
def test_what_is_not_as_it_has_to_be_begins_no_trace(text: str) -> None:
    assert place_of(text) is None


@pytest.mark.parametrize(
    "state",
    [
        "a",
        "=1",
        "a=",
        "A=1",
        "a=1,a=2",
        "a=x\ty",
        "a=é",
        "a=b=c",
        "a@b@c=1",
        ",".join(f"k{number}=1" for number in range(33)),
        f"a={'x' * 257}",
        "a=1," + ",".join(f"k{number}={'x' * 60}" for number in range(9)),
        "a=1\r\nx-injected: 1",
    ],
)
def test_a_wrong_state_is_left_out_and_the_trace_goes_on(state: str) -> None:
    place = place_of(RIGHT, state)
    assert place is not None
    assert place.state == ""
