"""What a client gets of an answer of the Responses API that no engine has rewritten."""

from typing import Any

import orjson
import pytest

from scalix.direct_engine.passing import passed_response_event
from scalix.domain.answers.passed_responses import PassedResponses


def passed() -> PassedResponses:
    return PassedResponses(
        "public", lambda ident: f"kept-{ident}", lambda prefix: f"{prefix}new", lambda: 1_700_000_000
    )


def whole(answer: dict[str, Any]) -> dict[str, Any]:
    passed().whole(answer)
    return answer


def test_an_answer_has_the_id_by_which_it_is_found_again_and_the_public_name() -> None:
    answer = whole({"id": "resp_1", "model": "theirs", "created_at": 5, "output": [], "x": 1})
    assert answer == {
        "id": "kept-resp_1",
        "object": "response",
        "model": "public",
        "created_at": 5,
        "output": [],
        "x": 1,
    }


@pytest.mark.parametrize("given", [{}, {"id": None}, {"id": 7}, {"id": ""}])
def test_what_has_no_id_gets_one(given: dict[str, Any]) -> None:
    assert whole(given)["id"] == "kept-resp_new"


@pytest.mark.parametrize(("given", "made"), [(5, 5), (5.7, 5), ("5", 1_700_000_000), (None, 1_700_000_000)])
def test_the_time_is_a_whole_number(given: Any, made: int) -> None:
    assert whole({"created_at": given})["created_at"] == made


def test_nothing_of_the_operators_account_is_passed_on() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "total_tokens": 3, "cost": 0.5, "is_byok": False}
    assert whole({"usage": usage, "provider": "Parasail"})["usage"] == {
        "input_tokens": 1,
        "output_tokens": 2,
        "total_tokens": 3,
    }


def test_all_events_of_a_stream_have_one_id() -> None:
    answer = passed()
    events = [
        {"type": f"response.{kind}", "response": {"id": given}}
        for kind, given in (("created", "a"), ("completed", "b"))
    ]
    assert [answer.event(event)["response"]["id"] for event in events] == ["kept-a", "kept-a"]


def test_the_type_of_an_event_is_the_first_of_its_fields() -> None:
    event = b'data: {"response":{"id":"a"},"sequence_number":3,"type":"response.completed"}\n\n'
    made = passed_response_event(event, passed())
    assert made.startswith(b'event: response.completed\ndata: {"type":"response.completed",')
    assert b'"sequence_number":3' in made


@pytest.mark.parametrize(
    "event",
    [
        b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"\\"response\\""}\n\n',
        b'data: {"type":"response.output_text.delta","delta":"a"}\n\n',
        b"data: [DONE]\n\n",
    ],
)
def test_what_has_nothing_of_the_whole_answer_stays_as_it_is(event: bytes) -> None:
    assert passed_response_event(event, passed()) == event


@pytest.mark.parametrize("event", [b"data: {no JSON}\n\n", b"data: 7\n\n", b'event: response.completed\ndata: {"respo'])
def test_what_nobody_can_read_is_left_out(event: bytes) -> None:
    assert passed_response_event(event, passed()) == b""


def test_an_event_over_several_lines_is_one() -> None:
    event = b'event: response.created\r\ndata: {"type":"response.created",\r\ndata: "response":{"id":"a"}}\r\n\r\n'
    made = passed_response_event(event, passed())
    assert orjson.loads(made.partition(b"data: ")[2])["response"]["id"] == "kept-a"


def test_an_error_is_known_as_one_by_its_beginning() -> None:
    event = b'data: {"code":"x","message":"m","type":"error"}\n\n'
    assert passed_response_event(event, passed()).startswith(b'event: error\ndata: {"type":"error"')
