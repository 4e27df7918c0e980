"""Server-sent events as bytes: cut a stream into whole events without changing a byte.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream (line ends are LF, CRLF
or CR; an empty line ends an event).
"""

import re

_END_OF_EVENT = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n|\r\n\r|\n\r|\r\r\n")
_LONGEST_END = 4
MOST_PENDING_BYTES = 32 * 1024 * 1024


class EventSplitter:
    """Feeds on arbitrary pieces of a stream and gives back whole events, each with the empty line that ends it.

    What is given back is exactly the bytes fed, in order. Memory is bounded: once an event outgrows
    `most_pending_bytes`, this stream is no longer cut (`gave_up`), and every piece is given back as it comes.
    """

    def __init__(self, most_pending_bytes: int = MOST_PENDING_BYTES) -> None:
        self._pending = b""
        self._more: list[bytes] = []  # what has come of the same event since, which is joined once
        self._size = 0
        self._most = most_pending_bytes
        self.gave_up = False

    @property
    def has_begun_event(self) -> bool:
        """Whether an event has begun, and is not whole."""
        return bool(self._pending)

    def feed(self, piece: bytes) -> list[bytes]:
        """The events that `piece` completes. An event is given back at once: should its last line end in a CR whose
        LF is still to come, the LF begins the next one, which readers take for one more empty line."""
        if self.gave_up:
            return [piece] if piece else []
        if self._pending and not self._may_end_with(piece):
            self._more.append(piece)
            self._size += len(piece)
            return self._given_up([])
        pending = self._joined()
        data = pending + piece if pending else piece
        if b"\r" in data:
            events = self._cut_at_any_end(data, len(pending))
        else:  # as almost always, and several times faster
            *whole, self._pending = data.split(b"\n\n")
            events = [event + b"\n\n" for event in whole]
        self._size = len(self._pending)
        return self._given_up(events)

    def _may_end_with(self, piece: bytes) -> bool:
        """Whether the event that has begun may end in `piece`."""
        last = self._more[-1] if self._more else self._pending
        near = last[1 - _LONGEST_END :] + piece
        return len(last) < _LONGEST_END or b"\n\n" in near or b"\r" in near

    def _joined(self) -> bytes:
        if self._more:
            self._pending, self._more = b"".join((self._pending, *self._more)), []
        return self._pending

    def _given_up(self, events: list[bytes]) -> list[bytes]:
        if self._size > self._most:
            self.gave_up = True
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
        rest, self._pending, self._size = self._joined(), b"", 0
        return rest
