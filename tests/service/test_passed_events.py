"""Events of a provider's stream that the direct engine passes on as they are, or not at all."""

import pytest

from scalix.direct_engine.passing import passed_event
from scalix.domain.answers.passed_chat import PassedChat


def passed(event: bytes) -> bytes:
    return passed_event(event, PassedChat("m", lambda prefix: prefix + "1", lambda: 1, with_usage=False))


@pytest.mark.parametrize("half", [b'data: {"id":"x","choi', b'data: {"id":"x"\n', b"data: "])
def test_half_an_event_does_not_run_into_the_one_that_says_that_the_stream_broke_off(half: bytes) -> None:
    assert passed(half) == b""


@pytest.mark.parametrize("event", [b"data: [DONE]", b"data: [DONE]\r\n\r\n", b"data: of no known kind\n\n"])
def test_whole_events_that_are_no_chunks_are_passed_on(event: bytes) -> None:
    assert passed(event) == event
