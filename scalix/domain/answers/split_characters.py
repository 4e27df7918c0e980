"""Joins characters that a provider split over two events: bytes of UTF-8, or the halves of a surrogate pair that are
written as `\\ud83d` and `\\ude00`."""

from scalix.domain.byte_patterns import byte_pattern

# Half a character at the end of a string, and the other half at the beginning of one.
_CUT_BYTES = byte_pattern(rb'([\xc2-\xdf]|[\xe0-\xef][\x80-\xbf]?|[\xf0-\xf4][\x80-\xbf]{0,2})"\s*[,}\]]')
_CUT_PAIR = byte_pattern(rb'(\\+)(u[dD][89abAB][0-9a-fA-F]{2})"\s*[,}\]]')
_REST = byte_pattern(rb':\s*"([\x80-\xbf]|\\u[dD][c-fC-F][0-9a-fA-F]{2})')


class SplitCharacters:
    """Joins the characters of one stream with one answer in it."""

    def __init__(self) -> None:
        self._half = b""

    @property
    def has_half(self) -> bool:
        """Whether half a character waits for the next event."""
        return bool(self._half)

    def join(self, event: bytes) -> bytes:
        """The event with whole characters only: half a character at its end is put into the next event."""
        if self._half:
            half, self._half = self._half, b""
            if (found := _REST.search(event)) is not None:
                event = event[: found.start(1)] + half + event[found.start(1) :]
        if (cut := _cut(event)) is None:
            return event
        start, end = cut
        self._half = event[start:end]
        return event[:start] + event[end:]


def _cut(event: bytes) -> tuple[int, int] | None:
    """The start and end of half a character at the end of a string; `None` if there is none."""
    if not event.isascii():
        try:
            event.decode()
        except UnicodeDecodeError:
            if (found := _CUT_BYTES.search(event)) is not None:
                return int(found.start(1)), int(found.end(1))
    if b"\\u" in event and (found := _CUT_PAIR.search(event)) is not None and len(found[1]) % 2:
        return int(found.start(2)) - 1, int(found.end(2))
    return None
