"""An answer that is whole from the start, such as a refusal, in one write.

By ASGI it would be two messages, which uvicorn checks header by header and writes one after the other. The protocol
puts the function into the scope under `EXTENSION`; servers that don't are sent two messages.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

# The edge looks for it under this name.
EXTENSION = "scalix.whole_answer"

Whole = Callable[[int, Sequence[tuple[bytes, bytes]], bytes], bool]


def whole_answer(cycle: Any) -> Whole:
    """For one request: a function of status, headers and body that says whether it has sent them.

    It has not where uvicorn has to wait, or has something to object. `cycle` is uvicorn's `RequestResponseCycle`.
    """
    return partial(_send, cycle)


def _send(cycle: Any, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    if cycle.disconnected or cycle.response_started or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
        return False
    lines = [STATUS_LINE[status]]
    for name, value in cycle.default_headers:
        lines += (name, b": ", value, b"\r\n")
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    expected = 3 + len(cycle.default_headers) + len(headers)
    if not cycle.keep_alive:
        lines.append(b"connection: close\r\n")
        expected += 1
    lines.append(b"content-length: %d\r\n\r\n" % len(body))
    head = b"".join(lines)
    if head.count(b"\n") != expected or head.count(b"\r") != expected or b"\0" in head:
        return False  # a header with a line's end in it
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(head + body)
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True
