"""What nearly every event of a stream is, one more piece of text, is looked at without a pattern or a parser: on a
core that is full of streams that is a tenth of its time."""

import json

import orjson
import pytest

from scalix.domain.answers import provider_answers, provider_streams
from scalix.domain.answers.event_kinds import is_over
from scalix.domain.answers.provider_answers import ProviderAnswer
from scalix.domain.answers.provider_streams import ProviderStream
from scalix.domain.answers.refusals import Refusals
from scalix.domain.json_codec import JsonCodec
from scalix.domain.requests.routes import Route
from scalix.edge import stream_marks

PLAIN = {"content": "word "}


class _Dear:
    def search(self, event: bytes) -> None:
        raise AssertionError(f"a pattern was asked about {event!r}")


def _event(choice: dict[str, object], **beside: object) -> bytes:
    chunk = {"id": "c1", "object": "chat.completion.chunk", "model": "m", "choices": [{"index": 0, **choice}], **beside}
    return b"data: " + json.dumps(chunk, separators=(",", ":")).encode() + b"\n\n"


@pytest.mark.parametrize(
    "event",
    [
        _event({"delta": PLAIN}),
        _event({"delta": PLAIN, "finish_reason": None}, usage=None),
        _event({"delta": PLAIN, "finish_reason": None, "stop_reason": None}),
        _event({"delta": PLAIN, "logprobs": None, "finish_reason": None}, usage=None, service_tier="default"),
    ],
)
def test_one_more_piece_of_text_asks_no_pattern(event: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    for module, names in (
        (provider_streams, ("_END", "_REFUSAL")),
        (provider_answers, ("_HAS_USAGE",)),
        (stream_marks, ("_ANSWER", "_THOUGHT")),
    ):
        for name in names:
            monkeypatch.setattr(module, name, _Dear())
    codec = JsonCodec(orjson.loads, orjson.dumps)
    stream = ProviderStream(codec, is_chat=True, refusals=Refusals(Route.CHAT), finishes=None)
    assert ProviderAnswer(codec).event(stream.event(event)) == event
    assert not stream.has_ended
    assert not is_over(event, False)
    assert stream_marks.shows_answer(event)
    assert not stream_marks.shows_thought(event)
