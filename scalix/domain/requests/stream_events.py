"""Server-sent events as bytes: cut a stream into whole events without changing a byte.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (line ends are LF, CRLF
or CR; an empty line ends an event).
"""

import re

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|\r\n\r|\n\r|\r\r\n")
_LONGEST_END = 4
MOST_PENDING_BYTES = 1024 * 1024


class EventSplitter:
    """Feeds on arbitrary pieces of a stream and gives back whole events, each with the empty line that ends it.

    What is given back is exactly the bytes fed, in order. Memory is bounded: once an event outgrows
    `most_pending_bytes`, this stream is no longer cut, and every piece is given back as it comes.
    """

    def __init__(self, most_pending_bytes: int = MOST_PENDING_BYTES) -> None:
        self._pending = b""
        self._most = most_pending_bytes
        self._gave_up = False

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes. An event is given back at once: should its last line end in a CR whose
        LF is still to come, the LF begins the next one, which readers take for one more empty line."""
        if self._gave_up:
            return [piece] if piece else []
        pending = self._pending
        data = pending + piece if pending else piece
        if b"\r" in data:
            events = self._cut_at_any_end(data, len(pending))
        else:  # as almost always, and several times faster
            *whole, self._pending = data.split(b"\n\n")
            events = [event + b"\n\n" for event in whole]
        if len(self._pending) > self._most:
            self._gave_up = True
            events.append(self.rest())
        return events

    def _cut_at_any_end(self, data: bytes, searched: int) -> list[bytes]:
        events: list[bytes] = []
        start, search_from = 0, max(0, searched - _LONGEST_END + 1)
        while match := _END_OF_EVENT.search(data, search_from):
            end = match.end()
            events.append(data[start:end])
            start = search_from = end
        self._pending = data[start:]
        return events

    def rest(self) -> bytes:
        """What has come since the last whole event. For the end of a stream."""
        rest, self._pending = self._pending, b""
        return rest
