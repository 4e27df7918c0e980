"""A provider's stream, mended before an engine reads it."""

import json
from typing import Any

import pytest

from scalix.domain.answers.provider_streams import CallNumbers, ProviderStream
from scalix.domain.answers.refusals import Refusals
from scalix.domain.answers.split_characters import SplitCharacters
from scalix.domain.answers.text_chunks import TextChoices
from scalix.domain.json_codec import JsonCodec
from scalix.domain.requests.routes import Route


def dumped(value: Any) -> bytes:
    return json.dumps(value).encode()


def mended(
    events: list[bytes], *, parsed: list[bytes] | None = None, finishes: dict[int, str] | None = None
) -> list[bytes]:
    def loads(raw: bytes) -> Any:
        if parsed is not None:
            parsed.append(raw)
        return json.loads(raw)

    stream = ProviderStream(
        JsonCodec(loads, lambda value: json.dumps(value).encode()),
        is_chat=True,
        refusals=Refusals(Route.CHAT),
        finishes=finishes,
    )
    return [stream.event(event) for event in events]


def chunk(finish: str | None = None, index: int = 0, **delta: Any) -> bytes:
    choice = {"index": index, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"choices": [choice]}).encode() + b"\n\n"


def test_a_plain_text_is_neither_parsed_nor_changed() -> None:
    parsed: list[bytes] = []
    events = [chunk(content="hello"), chunk(content="", refusal=None), chunk("stop"), b"data: [DONE]\n\n"]
    assert mended(events, parsed=parsed) == events
    assert parsed == []


def test_how_each_of_several_choices_ends_is_noted() -> None:
    finishes: dict[int, str] = {}
    mended([chunk("stop"), chunk("length", 1), chunk(None, 2)], finishes=finishes)
    assert finishes == {0: "stop", 1: "length"}


@pytest.mark.parametrize(
    ("end", "is_end"),
    [
        (chunk("stop"), True),
        (chunk(None), False),
        (chunk("", content='"finish_reason":"stop"'), False),
        (b'data: {"type":"message_delta","delta":{"stop_reason": "end_turn"}}\n\n', True),
        (b'data: {"type":"response.incomplete"}\n\n', True),
        (b'data: {"candidates":[{"finishReason":"STOP"}]}\n\n', True),
        (b"data: [DONE]\n\n", False),
    ],
)
def test_a_stream_has_ended_when_it_says_why(end: bytes, is_end: bool) -> None:
    stream = ProviderStream(
        JsonCodec(json.loads, lambda value: b""), is_chat=True, refusals=Refusals(Route.CHAT), finishes=None
    )
    stream.event(end)
    assert stream.has_ended is is_end


@pytest.mark.parametrize(
    ("given", "numbers"),
    [
        ([("a", None), (None, None), ("b", None), (None, None)], [0, 0, 1, 1]),
        ([("a", 0), (None, 0), ("b", 0), (None, 0)], [0, 0, 1, 1]),
        ([("a", 0), ("b", 1), (None, 0), (None, 1)], [0, 1, 0, 1]),
        ([("a", 0), ("a", 0), ("b", 0), ("b", 0), ("a", 0)], [0, 0, 1, 1, 0]),
        ([("a", 1), ("b", 2)], [1, 2]),
        ([("a", 0), ("", 0), ("b", None), ("", None)], [0, 0, 1, 1]),
    ],
)
def test_a_new_call_gets_the_next_number(given: list[tuple[str | None, int | None]], numbers: list[int]) -> None:
    calls = CallNumbers()
    made = []
    for name, index in given:
        call = {key: value for key, value in (("id", name), ("index", index)) if value is not None}
        calls.number(0, [call])
        made.append(call["index"])
    assert made == numbers


def test_backslashes_that_stand_for_themselves_are_no_half_of_a_pair() -> None:
    joiner = SplitCharacters()
    plain, cut = rb'data: {"text":"C:\\ud83d"}', rb'data: {"text":"C:\\\ud83d"}'
    assert joiner.join(plain) == plain
    assert joiner.join(cut) == rb'data: {"text":"C:\\"}'
    assert joiner.join(rb'data: {"text":"\ude00!"}') == rb'data: {"text":"\ud83d\ude00!"}'


def test_half_a_character_that_never_becomes_whole_is_dropped() -> None:
    joiner = SplitCharacters()
    assert joiner.join(b'data: {"text":"a\xe2\x80"}') == b'data: {"text":"a"}'
    assert joiner.join(b'data: {"text":"b"}') == b'data: {"text":"b"}'
    assert joiner.join(b'data: {"text":"\x93"}') == b'data: {"text":"\x93"}'


def called(*, name: str | None = "f", arguments: str | None = None, of: str | None = "a") -> dict[str, Any]:
    function = {key: value for key, value in (("name", name), ("arguments", arguments)) if value is not None}
    return {"index": 0, **({"id": of} if of else {}), "function": function}


def deltas(events: list[bytes]) -> list[Any]:
    return [json.loads(event[5:])["choices"][0]["delta"] for event in mended(events)]


def test_an_id_and_a_name_are_said_once() -> None:
    given = [called(arguments="{"), called(arguments='"x":1'), called(name=None, arguments="}")]
    made = deltas([chunk(tool_calls=[one]) for one in given])
    assert [delta["tool_calls"][0] for delta in made] == [
        given[0],
        called(of=None, name=None, arguments='"x":1'),
        called(of=None, name=None, arguments="}"),
    ]


def test_a_call_that_got_no_arguments_by_its_end_gets_an_empty_object() -> None:
    made = deltas([chunk(tool_calls=[called()]), chunk("tool_calls")])
    assert made[1]["tool_calls"] == [{"index": 0, "function": {"arguments": "{}"}}]
    assert "tool_calls" not in deltas([chunk(tool_calls=[called()]), chunk("length")])[1]
    assert "tool_calls" not in deltas([chunk(tool_calls=[called(arguments="{}")]), chunk("stop")])[1]


def test_a_stream_with_calls_that_stops_has_called_tools() -> None:
    events = mended([chunk(tool_calls=[called(of=None, arguments="{}")]), chunk("stop")])
    assert json.loads(events[1][5:])["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize("finish", ["error", "insufficient_system_resource"])
def test_a_finish_that_is_a_failure_is_no_end(finish: str) -> None:
    stream = ProviderStream(
        JsonCodec(json.loads, lambda value: json.dumps(value).encode()),
        is_chat=True,
        refusals=Refusals(Route.CHAT),
        finishes=None,
    )
    event = stream.event(chunk(finish, content="half"))
    assert not stream.has_ended
    assert json.loads(event[5:])["choices"][0] == {"index": 0, "delta": {"content": "half"}, "finish_reason": None}


@pytest.mark.parametrize("shape", [{"delta": None}, {"message": {"content": "a"}}, {"delta": None, "message": {}}])
def test_a_choice_has_a_delta(shape: dict[str, Any]) -> None:
    event = b"data: " + json.dumps({"choices": [{"index": 0, **shape}]}).encode() + b"\n\n"
    assert deltas([event]) == [shape.get("message") or {}]


def of(route: Route, **more: Any) -> ProviderStream:
    return ProviderStream(JsonCodec(json.loads, dumped), is_chat=True, refusals=Refusals(route), finishes=None, **more)


def choice_in(event: bytes) -> Any:
    return json.loads(event.removeprefix(b"data:"))["choices"][0]


@pytest.mark.parametrize(
    ("route", "finish"), [(Route.MESSAGES, "content_filter"), (Route.RESPONSES, "stop"), (Route.CHAT, "stop")]
)
def test_a_refusal_is_the_reason_to_stop_where_the_api_has_one(route: Route, finish: str) -> None:
    stream = of(route)
    assert choice_in(stream.event(chunk("stop")))["finish_reason"] == "stop"  # nothing was refused yet
    stream = of(route)
    stream.event(chunk(refusal="I cannot"))
    assert choice_in(stream.event(chunk("stop")))["finish_reason"] == finish
    assert choice_in(stream.event(chunk("length")))["finish_reason"] == "length"


def test_a_refusal_is_all_that_is_said_unless_there_is_a_text_beside_it() -> None:
    refusals = Refusals(Route.RESPONSES)
    refusals.mend({}, {"refusal": None, "content": "hello"})
    assert not refusals.is_all
    refusals.mend({}, {"refusal": "no"})
    assert not refusals.is_all
    refusals = Refusals(Route.RESPONSES)
    refusals.mend({}, {"refusal": "no", "content": None})
    assert refusals.is_all


@pytest.mark.parametrize(("is_translated", "reason"), [(True, "max_tokens"), (False, "model_context_window_exceeded")])
def test_a_full_context_window_is_a_cap_to_who_knows_no_other_reason(is_translated: bool, reason: str) -> None:
    stream = ProviderStream(
        JsonCodec(json.loads, dumped),
        is_chat=False,
        refusals=Refusals(Route.RESPONSES),
        finishes=None,
        is_translated=is_translated,
    )
    end = {"type": "message_delta", "delta": {"stop_reason": "model_context_window_exceeded"}}
    event = stream.event(b"event: message_delta\ndata: " + dumped(end) + b"\n\n")
    assert json.loads(event.partition(b"data:")[2])["delta"]["stop_reason"] == reason
    assert event.startswith(b"event: message_delta\n")


def test_choices_of_completions_wait_until_the_engine_has_read_them() -> None:
    texts = TextChoices()
    for event in (b'data: {"choices":[{"text":"a","index":1}]}\n\n', b"data: [DONE]\n\n", b'data: {"choices":[]}\n\n'):
        texts.note(event, json.loads)
    texts.note(b'data: {"error":{"message":"a secret"},"choices":null}\n\n', json.loads)
    whole = {"text": "a", "index": 1, "logprobs": None, "finish_reason": None}
    assert texts.take() == [{"choices": [whole]}]
    assert texts.take() == []
