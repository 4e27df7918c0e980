"""Server-sent events as bytes: cut a stream into whole events without changing a byte.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (line ends are LF, CRLF
or CR; an empty line ends an event).
"""

import re

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|\r\n\r|\n\r|\r\r\n")
MOST_PENDING_BYTES = 4 * 1024 * 1024


class EventSplitter:
    """Feeds on arbitrary pieces of a stream and gives back whole events, each with the empty line that ends it.

    Pieces given back are exactly the bytes fed, in order. An event that outgrows `most_pending_bytes` is given back
    in parts, so that memory stays bounded.
    """

    def __init__(self, most_pending_bytes: int = MOST_PENDING_BYTES) -> None:
        self._pending = b""
        self._searched = 0
        self._most = most_pending_bytes

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes."""
        data = self._pending + piece if self._pending else piece
        events: list[bytes] = []
        start, search_from = 0, max(0, self._searched - 4)
        while match := _END_OF_EVENT.search(data, search_from):
            end = match.end()
            if end == len(data) and data.endswith(b"\r"):
                break  # an LF of the same line end may still come
            events.append(data[start:end])
            start = search_from = end
        self._pending = data[start:]
        self._searched = len(self._pending)
        if len(self._pending) > self._most:
            events.append(self.rest())
        return events

    def rest(self) -> bytes:
        """What has come since the last whole event. For the end of a stream."""
        rest, self._pending, self._searched = self._pending, b"", 0
        return rest
