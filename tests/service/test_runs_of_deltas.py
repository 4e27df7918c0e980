"""Runs of plain deltas are passed on unparsed, and a client gets what it would have got of them parsed."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scalix.direct_engine.passing import PassedStream
from scalix.domain.answers.passed_chat import PassedChat
from scalix.domain.answers.passed_completions import PassedCompletions
from scalix.domain.answers.plain_deltas import Group, PlainDeltas, Run
from scalix.domain.json_codec import JsonCodec
from scalix.domain.requests.routes import Route
from scalix.edge.answer_repairs import AnswerRepairs
from scalix.service.answers.pressure import Pressure
from scalix.service.answers.stream_reading import StreamReading
from tests.exchanges import made_exchange

HEAD = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "their-model"}
Event = dict[str, Any]


def of_openai(delta: Event, finish: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
    return {
        **HEAD,
        "system_fingerprint": None,
        "choices": [choice],
        "usage": None,
        "obfuscation": "aB3" * (len(delta) % 3),
    }


def of_vllm(delta: Event, finish: str | None = None) -> Event:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "token_ids": None}
    return {**HEAD, "choices": [choice]}


def of_sglang(delta: Event, finish: str | None = None) -> Event:
    delta = {"role": None, "content": None, "reasoning_content": None, "tool_calls": None, **delta}
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish, "matched_stop": None}
    return {**HEAD, "choices": [choice], "usage": None}


def of_openrouter(delta: Event, finish: str | None = None) -> Event:
    choice = {
        "index": 0,
        "delta": {"role": "assistant", **delta},
        "finish_reason": finish,
        "native_finish_reason": finish,
    }
    return {"id": "gen-1", "provider": "Other", **HEAD, "choices": [{**choice, "logprobs": None}]}


PROVIDERS = (of_openai, of_vllm, of_sglang, of_openrouter)
TEXTS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        ["word ", '"', "\\", '\\"', '"}}]}\n\n', "data: {", "[DONE]", "é", "😀", "content", "\x7ftext", "\u2028", "/"]
    ),
)
DELTAS = st.one_of(
    st.builds(lambda text: {"content": text}, TEXTS),
    st.builds(lambda text: {"content": text}, TEXTS),
    st.builds(lambda text: {"reasoning_content": text}, TEXTS),
    st.builds(lambda text: {"reasoning": text}, TEXTS),
    st.builds(lambda text: {"tool_calls": [{"index": 0, "function": {"arguments": text}}]}, TEXTS),
    st.builds(lambda text: {"refusal": text}, TEXTS),
)
OTHERS = st.sampled_from([b": ping\n\n", b'data: {"choices":[]}\n\n', b'data: {"choices":[],"x":1}\r\n\r\n'])


def written(event: Event, *, spaced: bool) -> bytes:
    if not spaced:
        return b"data: " + orjson.dumps(event) + b"\n\n"
    return b"data: " + json.dumps(event).encode() + b"\n\n"


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[int]]:
    """A stream of some provider, and where it is cut."""
    provider, spaced = draw(st.sampled_from(PROVIDERS)), draw(st.booleans())
    parts = [written(provider({"role": "assistant", "content": ""}), spaced=spaced)]
    for kind in draw(st.lists(st.one_of(DELTAS, OTHERS), min_size=1, max_size=30)):
        parts.append(kind if isinstance(kind, bytes) else written(provider(kind), spaced=spaced))
    usage = {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12}
    parts.append(written(provider({"content": draw(st.sampled_from(["", "end"]))}, "stop"), spaced=spaced))
    parts.append(written({**HEAD, "choices": [], "usage": usage}, spaced=spaced))
    stream = b"".join(parts) + b"data: [DONE]\n\n"
    return stream, sorted(draw(st.lists(st.integers(0, len(stream)), max_size=6)))


async def delivered(
    stream: bytes, cuts: list[int], *, as_runs: bool, with_usage: bool, path: str = "/chat/completions"
) -> tuple[list[Any], int, Any]:
    """The client's events, parsed; how many came as runs; and what was noted of the answer. `path`: the provider's, of
    another one than that of chats for a client that asks for completions."""
    route = Route.CHAT if path == Route.CHAT.row.path else Route.COMPLETIONS
    exchange = made_exchange(model="ours", route=route)
    attempt = exchange.attempt
    attempt.directly = as_runs

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
            if start < end:
                yield stream[start:end]

    reading = StreamReading(pieces(), {}, path, exchange.admission, attempt, None)
    assert await reading.open() is None
    repairs = AnswerRepairs(exchange, "ours", {}, lambda: 7, with_usage=with_usage)
    kind = PassedChat if route is Route.CHAT else PassedCompletions
    passed = PassedStream(kind("ours", lambda prefix: prefix + "new", lambda: 7, with_usage=with_usage))
    events: list[bytes] = []
    in_runs = 0
    async for piece in passed.passed(reading.groups()):
        if isinstance(piece, Run):
            template = piece.template.after_change(repairs.event)
            assert template is not None
            in_runs += piece.count
            events += [event + b"\n\n" for event in piece.written(template).split(b"\n\n")[:-1]]
        else:
            events += [repairs.event(event + b"\n\n") for event in piece.split(b"\n\n")[:-1]]
    seen = (attempt.seen.usage, attempt.usage_is_final, attempt.refused, attempt.seen.answered_whole)
    return [_data(event) for event in events], in_runs, seen


def _data(event: bytes) -> Any:
    try:
        return list(orjson.loads(event.strip().removeprefix(b"data:")).items())
    except (ValueError, AttributeError):
        return event


@given(streams(), st.booleans())
@settings(max_examples=300, deadline=None)
def test_whatever_is_mixed_and_cut_a_client_gets_what_it_gets_of_parsed_events(
    cut: tuple[bytes, list[int]], with_usage: bool
) -> None:
    stream, cuts = cut
    long_way, none, noted = asyncio.run(delivered(stream, cuts, as_runs=False, with_usage=with_usage))
    short_way, _, noted_too = asyncio.run(delivered(stream, cuts, as_runs=True, with_usage=with_usage))
    assert none == 0
    assert short_way == long_way
    assert noted_too == noted


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("spaced", [False, True])
@pytest.mark.parametrize("with_usage", [False, True])
def test_of_what_providers_send_all_but_a_few_events_go_the_short_way(
    provider: Any, spaced: bool, with_usage: bool
) -> None:
    texts = [f'word {number} "so"\n' for number in range(200)]
    events = [provider({"role": "assistant", "content": ""}), *(provider({"content": text}) for text in texts)]
    stream = b"".join(written(event, spaced=spaced) for event in [*events, provider({}, "stop")])
    got, in_runs, _ = asyncio.run(delivered(stream, [], as_runs=True, with_usage=with_usage))
    assert in_runs >= 190
    assert got.pop() == b"data: [DONE]\n\n"  # which this provider has left out
    assert "".join(dict(event)["choices"][0]["delta"].get("content") or "" for event in got) == "".join(texts)


def of_completions(delta: Event, finish: str | None = None) -> Event:
    choice = {"index": 0, "text": delta.get("content", ""), "logprobs": None, "finish_reason": finish}
    return {**HEAD, "object": "text_completion", "choices": [{**choice, "stop_reason": None}], "usage": None}


@pytest.mark.parametrize(
    ("provider", "path"), [(of_completions, "/completions"), *((one, "/v1/chat/completions") for one in PROVIDERS)]
)
@pytest.mark.parametrize("with_usage", [False, True])
def test_so_do_texts_of_completions_and_of_chats_that_stand_for_them(
    provider: Any, path: str, with_usage: bool
) -> None:
    texts = [f'word {number} "so"\n' for number in range(200)]
    events = [*(provider({"content": text}) for text in texts), provider({}, "stop")]
    stream = b"".join(written(event, spaced=False) for event in events) + b"data: [DONE]\n\n"
    got, in_runs, _ = asyncio.run(delivered(stream, [], as_runs=True, with_usage=with_usage, path=path))
    assert in_runs >= 190
    choices = [dict(event)["choices"][0] for event in got[:-1]]
    assert "".join(choice["text"] for choice in choices) == "".join(texts)
    assert not any("delta" in choice for choice in choices)


@given(
    st.lists(TEXTS, min_size=1, max_size=4), st.sampled_from(PROVIDERS), st.sampled_from([b"", b"\n", b"x", b"\n\n"])
)
def test_a_piece_is_a_run_if_it_is_nothing_but_plain_deltas(texts: list[str], provider: Any, more: bytes) -> None:
    plain = PlainDeltas(JsonCodec(orjson.loads, orjson.dumps))
    plain.learn(written(provider({"content": "word"}), spaced=False))
    piece = b"".join(written(provider({"content": text}), spaced=False) for text in texts)
    run = plain.whole(piece + more)
    known = PlainDeltas(JsonCodec(orjson.loads, orjson.dumps))
    known.learn(written(provider({"content": "word"}), spaced=False))
    groups = list(known.groups([event + b"\n\n" for event in (piece + more).split(b"\n\n")[:-1]]))
    is_run = len(groups) == 1 and isinstance(groups[0], Run) and not more
    assert (run is not None) == is_run
    if run is not None:
        assert b"".join(run.events()) == piece


def test_events_that_differ_in_more_than_their_text_are_soon_tried_no_more() -> None:
    tries = 0

    def loads(text: bytes) -> Any:
        nonlocal tries
        tries += 1
        return orjson.loads(text)

    plain = PlainDeltas(JsonCodec(loads, orjson.dumps))
    events = [written({**of_vllm({"content": "text"}), "number": number}, spaced=False) for number in range(1000)]
    groups: list[Group] = []
    for group in plain.groups(events):
        groups.append(group)
        assert isinstance(group, list)
        for event in group:
            plain.learn(event)
    assert len(groups) < 30
    assert tries < 50


class Behind(Pressure):
    """A worker that has fallen behind by a set time."""

    def window_s(self) -> float:
        return 0.1


@pytest.mark.parametrize(("pressure", "expected"), [(Behind(100), 40), (Pressure(100), 0)])
def test_a_worker_that_falls_behind_lets_plain_deltas_collect_and_keeps_no_end_waiting(
    pressure: Pressure, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[bool] = []

    async def run() -> None:
        monkeypatch.setattr(asyncio, "sleep", noted)
        exchange = made_exchange()
        exchange.attempt.directly = True
        events = [written(of_vllm({"content": f"word {number}"}), spaced=False) for number in range(41)]
        end = written(of_vllm({"content": ""}, "stop"), spaced=False)

        async def pieces() -> AsyncIterator[bytes]:
            for event in [*events, end, b"data: [DONE]\n\n"]:
                yield event

        reading = StreamReading(pieces(), {}, "/v1/chat/completions", exchange.admission, exchange.attempt, pressure)
        assert await reading.open() is None
        got = [
            event
            async for group in reading.groups()
            for event in (group if isinstance(group, list) else group.events())
        ]
        assert got == [*events, end, b"data: [DONE]\n\n"]

    async def noted(seconds: float) -> None:
        if seconds > 0.06:  # more than the watch of the pressure takes
            waited.append(True)
        await sleep(0)

    sleep = asyncio.sleep
    asyncio.run(run())
    assert len(waited) == expected
