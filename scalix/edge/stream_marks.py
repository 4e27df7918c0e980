"""What the edge must know of a server-sent event: whether it ends the stream, or says that the stream has failed."""

import re

import re2

# Event names and types stand first in what LiteLLM and providers send; the same words inside a text mean nothing.
_HEAD = rb"\s*(?:event: ?[\w.]+\r?\n)?data: ?"
_LAST = re.compile(
    _HEAD + rb'(?:\[DONE\]|\{"type": ?"(?:message_stop|response\.completed|response\.incomplete)"|\{"type": ?"done")'
)
_ERROR = re.compile(
    rb"\s*event: ?(?:error|response\.failed)\r?\n|" + _HEAD + rb'\{"(?:error"|type": ?"(?:error|response\.failed)")'
)
# A text, a call, a sound or an image; not the opening of one, which is empty.
_ANSWER = re2.compile(
    rb'"(?:content|text|delta|refusal|arguments|partial_json|input|data|transcript|partial_image_b64|url)": ?"[^"]'
)
_CONTENT, _NO_CONTENT = b'"content":"', b'"content":""'
_THOUGHT = re2.compile(rb'"(?:reasoning|reasoning_content|thinking)": ?"[^"]|"response\.reasoning|"redacted_thinking"')


def shows_answer(event: bytes) -> bool:
    """Whether this event, or one of several, brings something of the answer itself: no thought, nothing empty."""
    says_text = _CONTENT in event and _NO_CONTENT not in event  # as almost always, without the cost of a pattern
    return (says_text or _ANSWER.search(event) is not None) and b'"response.reasoning' not in event


def shows_thought(event: bytes) -> bool:
    """Whether this event, or one of several, shows that the model thinks: a thought, or the summary of one."""
    return (b"reasoning" in event or b"thinking" in event) and _THOUGHT.search(event) is not None


def is_last(event: bytes) -> bool:
    """Whether a client that has read this event takes the stream for complete."""
    return _LAST.match(event) is not None


def is_error(event: bytes) -> bool:
    """Whether this event reports a failure."""
    return _ERROR.match(event) is not None
