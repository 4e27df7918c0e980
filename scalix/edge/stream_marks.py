"""What the edge must know of a server-sent event: whether it ends the stream, or says that the stream has failed."""

import re

# Event names and types stand first in what LiteLLM and providers send; the same words inside a text mean nothing.
_HEAD = rb"\s*(?:event: ?[\w.]+\r?\n)?data: ?"
_LAST = re.compile(
    _HEAD + rb'(?:\[DONE\]|\{"type": ?"(?:message_stop|response\.completed|response\.incomplete)"|\{"type": ?"done")'
)
_ERROR = re.compile(
    rb"\s*event: ?(?:error|response\.failed)\r?\n|" + _HEAD + rb'\{"(?:error"|type": ?"(?:error|response\.failed)")'
)


def is_last(event: bytes) -> bool:
    """Whether a client that has read this event takes the stream for complete."""
    return _LAST.match(event) is not None


def is_error(event: bytes) -> bool:
    """Whether this event reports a failure."""
    return _ERROR.match(event) is not None
