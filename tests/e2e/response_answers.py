"""What providers answer by the Responses API, whole and as a stream: sound answers, odd ones, and failures."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from tests.e2e import complete_provider
from tests.e2e.complete_provider import EVENT_STREAM, event
from tests.e2e.scripted_provider import Answer, whole

Body = dict[str, Any]
_TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}, "strict": True}
_ERROR = {"code": "server_error", "message": "sk-canary: it broke"}
_LAST = -1


def _events(body: Body) -> list[Body]:
    pieces = complete_provider.complete("/responses", {**body, "stream": True}).pieces
    return [orjson.loads(piece.partition(b"data: ")[2]) for piece in pieces]


def _changed(change: Callable[[Body], Body]) -> Callable[[Body], Answer]:
    """A sound answer with its response changed: of a stream, wherever it stands."""

    def answer(body: Body) -> Answer:
        if not body.get("stream"):
            (sound,) = complete_provider.complete("/responses", body).pieces
            return whole(change(orjson.loads(sound)))
        return _stream(
            [{**one, "response": change(one["response"])} if "response" in one else one for one in _events(body)]
        )

    return answer


def _stream(events: list[Body], *, written: Callable[[Body], bytes] = event, after: bytes = b"") -> Answer:
    return Answer(200, [*map(written, events), *([after] if after else [])], EVENT_STREAM)


def _streamed(change: Callable[[list[Body]], list[Body]], **how: Any) -> Callable[[Body], Answer]:
    """A sound answer, with the events of its stream changed."""

    def answer(body: Body) -> Answer:
        if not body.get("stream"):
            return complete_provider.complete("/responses", body)
        return _stream(change(_events(body)), **how)

    return answer


def _ends(kind: str, **more: Any) -> Callable[[Body], Answer]:
    """An answer that ends in a status of its own, with what it has said by then, or with nothing."""

    def end(response: Body) -> Body:
        return {**response, "status": kind, "completed_at": None, **more}

    def answer(body: Body) -> Answer:
        if not body.get("stream"):
            return _changed(end)(body)
        *events, last = _events(body)
        return _stream([*events, {**last, "type": f"response.{kind}", "response": end(last["response"])}])

    return answer


def _failed_at_once(body: Body) -> Answer:
    first = _events(body)[0]["response"] if body.get("stream") else None
    if first is None:
        return _changed(
            lambda response: {**response, "status": "failed", "error": _ERROR, "output": [], "usage": None}
        )(body)
    failed = {**first, "status": "failed", "error": _ERROR}
    return _stream([{"type": "response.failed", "sequence_number": 0, "response": failed}])


def _without(*names: str) -> Callable[[Body], Body]:
    return lambda response: {name: value for name, value in response.items() if name not in names}


def _with(**more: Any) -> Callable[[Body], Body]:
    return lambda response: {**response, **more}


def _type_last(one: Body) -> bytes:
    return (
        b"data: "
        + orjson.dumps({**{name: value for name, value in one.items() if name != "type"}, "type": one["type"]})
        + b"\n\n"
    )


def _error_event(body: Body, after: int) -> Answer:
    failed = {"type": "error", "sequence_number": after, **_ERROR, "param": None}
    return _stream([*_events(body)[:after], failed]) if body.get("stream") else whole({"error": _ERROR})


def _status(status: int, **error: Any) -> Callable[[Body], Answer]:
    return lambda body: whole({"error": {"message": "sk-canary: no", "type": "invalid_request_error", **error}}, status)


_USAGE = complete_provider.RESPONSE_USAGE
_AS_IT_IS = _changed(lambda response: response)
ANSWERS: Mapping[str, Callable[[Body], Answer]] = {
    "sound": _AS_IT_IS,
    "with [DONE]": _streamed(list, after=b"data: [DONE]\n\n"),
    "the type last": _streamed(list, written=_type_last),
    "CRLF": _streamed(list, written=lambda one: event(one).replace(b"\n", b"\r\n")),
    "pings": _streamed(lambda events: [events[0], {"type": "keepalive", "sequence_number": 1}, *events[1:]]),
    "comments": _streamed(list, written=lambda one: b": ping\n\n" + event(one)),
    "no JSON": _streamed(list, written=lambda one: event(one) + b"data: {no\n\n"),
    "events of its own": _streamed(lambda events: [*events[:2], {"type": "vendor.note", "x": 1}, *events[2:]]),
    "numbers missing": _streamed(
        lambda events: [{n: v for n, v in one.items() if n != "sequence_number"} for one in events]
    ),
    "incomplete": _ends("incomplete", incomplete_details={"reason": "max_output_tokens"}),
    "failed at the end": _ends("failed", error=_ERROR),
    "failed at once": _failed_at_once,
    "an error at once": lambda body: _error_event(body, 0),
    "an error after all": lambda body: _error_event(body, 12),
    "no end": _streamed(lambda events: events[:_LAST]),
    "cut": _streamed(lambda events: events[:_LAST], after=b'event: response.completed\ndata: {"type":"respo'),
    "nothing": _streamed(lambda events: []),
    "the head alone": _streamed(lambda events: events[:2]),
    "no usage": _changed(_without("usage")),
    "no total": _changed(
        lambda response: {**response, "usage": _without("total_tokens")(response["usage"] or {}) or None}
    ),
    "usage that can't be true": _changed(_with(usage={**_USAGE, "output_tokens": -5})),
    "usage as text": _changed(_with(usage="12")),
    "costs": _changed(
        _with(
            usage={
                **_USAGE,
                "cost": 0.75,
                "cost_details": {"upstream": 0.75},
                "is_byok": False,
                "cost_in_usd_ticks": 750000,
            }
        )
    ),
    "fields of its own": _changed(
        _with(provider="Parasail", x_groq={"id": "req_1"}, kv_transfer_params={"h": "10.0.0.7"})
    ),
    "other fields": _changed(_with(moderation=None, billing={"payer": "openai"}, citations=["https://a.test"])),
    "bare": _changed(
        lambda response: {name: response[name] for name in ("id", "created_at", "output", "status", "usage")}
    ),
    "no time": _changed(_without("created_at")),
    "time as a fraction": _changed(_with(created_at=1_700_000_000.5)),
    "no id": _changed(_without("id")),
    "no object": _changed(_without("object")),
    "empty": _changed(_with(output=[])),
    "output as null": _changed(_with(output=None)),
    **{f"status {status}": _status(status) for status in (400, 401, 403, 413, 422, 429, 500, 503)},
    "too long": _status(400, code="context_length_exceeded"),
    "no such model": _status(404, code="model_not_found"),
    "a page": lambda body: Answer(200, (b"<html>sk-canary</html>",), (("content-type", "text/html"),)),
    "not streamed": lambda body: complete_provider.complete("/responses", {**body, "stream": False}),
    "streamed unasked": lambda body: complete_provider.complete("/responses", {**body, "stream": True}),
}


@dataclass(frozen=True)
class Call:
    """One request. What the provider answers stands in its `input`."""

    answer: str
    way: str
    more: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Such as `sound stream`."""
        return f"{self.answer} {self.way}"

    def body(self) -> Body:
        """Its body, without the model's name."""
        return {"input": self.answer, **self.more}


def calls() -> list[Call]:
    """Each answer, whole and streamed; the sound one with a call too."""
    ways: dict[str, Body] = {"whole": {}, "stream": {"stream": True}}
    made = [Call(name, way, more) for way, more in ways.items() for name in ANSWERS]
    return made + [Call("sound", f"a tool {way}", {**more, "tools": [_TOOL]}) for way, more in ways.items()]


def answered(path: str, body: Body) -> Answer:
    """What the provider says to a request."""
    return ANSWERS[body["input"]](body)
