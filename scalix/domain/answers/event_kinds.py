"""What a server-sent event of a provider is: a part of an answer, its end, or a sign of life."""

from typing import Any

from scalix.domain.json_codec import Loads

_LONGEST_PING = 200
_PINGS = frozenset({"ping", "keepalive", "keep-alive", "keep_alive", "heartbeat"})
# How a stream says that its answer is over, whatever the format: what is still to come is its usage. An Anthropic or
# Responses stream ends each of its parts; the usage follows the last one.
_OVER = (
    *(b'"finish_reason":"', b'"finish_reason": "', b'"finishReason":"', b'"finishReason": "'),
    *(b'"stop_reason":"', b'"stop_reason": "', b"content_block_stop", b'.done"', b"[DONE]"),
)
_GOES_ON = (b"content_block_start", b"content_block_delta", b'.delta"', b'.added"')


def data_of(event: bytes, loads: Loads) -> dict[str, Any] | None:
    """The data of an event, as the functions here want it; `None` if they are no JSON object."""
    for line in event.splitlines():
        if line.startswith(b"data:"):
            try:
                data = loads(line[5:])
            except ValueError:
                return None
            return data if isinstance(data, dict) else None
    return None


def is_comment(event: bytes) -> bool:
    """Whether an event holds nothing, or comments: https://html.spec.whatwg.org/multipage/server-sent-events.html"""
    if not event.startswith(b":"):
        return event.isspace()  # of blank lines there may be as many
    return all(line.startswith(b":") for line in event.splitlines() if line)


def is_ping(event: bytes, data: dict[str, Any] | None) -> bool:
    """Whether an event only says that the provider is still there, in one of the ways that are not a comment: by a type
    or a name that says so, or with a word for its data that is no JSON object."""
    if len(event) > _LONGEST_PING:
        return False
    if data:
        return data.get("type") in _PINGS
    lines = [line for line in event.splitlines() if line.startswith(b"data:")]
    return not is_done(event) and all(b"{" not in line or data == {} for line in lines)


def is_done(event: bytes) -> bool:
    """Whether an event is the mark after which nobody reads on in OpenAI's format."""
    return event.startswith(b"data:") and event[5:].strip() == b"[DONE]"


def is_over(event: bytes, was_over: bool) -> bool:
    """Whether the answer of a stream is over after `event`, which it was or was not before."""
    for mark in _GOES_ON if was_over else _OVER:  # several times faster than any()
        if mark in event:
            return not was_over
    return was_over


def is_substantial(event: bytes, data: dict[str, Any] | None) -> bool:
    """Whether a server-sent event brings anything of an answer: a text, a call, or how it ended."""
    if data is None:
        return b"data:" in event and b"[DONE]" not in event
    kind = data.get("type")
    if isinstance(kind, str):
        if kind.startswith("response."):
            return "delta" in kind or kind == "response.output_item.done" or _has_output(data.get("response"))
        return kind in ("content_block_delta", "message_delta")
    choices = data.get("choices")
    if not isinstance(choices, list):
        return "candidates" in data or "promptFeedback" in data
    return any(isinstance(choice, dict) and _says_something(choice) for choice in choices)


def _says_something(choice: dict[str, Any]) -> bool:
    delta = choice.get("delta")
    said = any(value for key, value in delta.items() if key != "role") if isinstance(delta, dict) else False
    return bool(said or choice.get("text") or choice.get("finish_reason"))


def _has_output(response: Any) -> bool:
    return isinstance(response, dict) and bool(response.get("output") or response.get("status") == "incomplete")
