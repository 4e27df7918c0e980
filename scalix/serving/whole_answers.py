"""Sends an answer that is whole from the start, such as a refusal, in one write.

By ASGI it would be two messages, which uvicorn checks header by header and writes one after the other. The protocol
puts the function into the scope under `EXTENSION`; servers that don't are sent two messages.
"""

from collections.abc import Sequence
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

# The edge looks for it under this name.
EXTENSION = "scalix.whole_answer"


def send_whole(cycle: Any, status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes) -> bool:
    """Send status, headers and body in answer to one request, and say whether they were sent.

    Nothing is sent where uvicorn has to wait or would refuse. `cycle` is uvicorn's `RequestResponseCycle`.
    """
    if cycle.disconnected or cycle.response_started or cycle.flow.write_paused or cycle.scope["method"] == "HEAD":
        return False
    answer = as_bytes(status, [*cycle.default_headers, *headers], body, keep_alive=cycle.keep_alive)
    if answer is None:
        return False
    cycle.response_started = True
    cycle.waiting_for_100_continue = False
    cycle.transport.write(answer)
    cycle.response_complete = True
    cycle.message_event.set()
    if not cycle.keep_alive:
        cycle.transport.close()
    cycle.on_response()
    return True


def as_bytes(status: int, headers: Sequence[tuple[bytes, bytes]], body: bytes, *, keep_alive: bool) -> bytes | None:
    """The bytes of an answer; `None` if a header holds the end of a line."""
    lines = [STATUS_LINE[status]]
    for name, value in headers:
        lines += (name, b": ", value, b"\r\n")
    if not keep_alive:
        lines.append(b"connection: close\r\n")
    lines.append(b"content-length: %d\r\n\r\n" % len(body))
    head = b"".join(lines)
    expected = 3 + len(headers) + (not keep_alive)
    if head.count(b"\n") != expected or head.count(b"\r") != expected or b"\0" in head:
        return None
    return head + body
