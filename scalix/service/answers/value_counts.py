"""A bound on how many values an answer of a provider holds: engines look at each, with everybody else waiting."""

from scalix.service.answers.provider_errors import AnswerTooLarge

MOST_VALUES = 20_000  # in an answer or an event: for LiteLLM a fifth of a second
LIGHT_BYTES = 32 * 1024  # anything shorter holds fewer
_AT_ONCE_BYTES = 1024 * 1024


def check_values(text: bytes) -> None:
    """Raise `AnswerTooLarge` for an answer, or an event, that holds more than `MOST_VALUES`."""
    if has_more_values(text, MOST_VALUES):
        raise too_many()


def too_many() -> AnswerTooLarge:
    """The error for it."""
    return AnswerTooLarge("the provider's answer holds more values than are read")


def has_more_values(text: bytes, most: int) -> bool:
    """Whether there are more than `most` commas, brackets and braces outside of the strings of a JSON text. It is not
    parsed: that takes time too."""
    if len(text) <= LIGHT_BYTES:
        return False
    count, is_string, rest = 0, False, b""
    for start in range(0, len(text), _AT_ONCE_BYTES):
        piece = rest + text[start : start + _AT_ONCE_BYTES]
        slashes = len(piece) - len(piece.rstrip(b"\\"))
        rest = b"\\" if slashes % 2 else b""  # it escapes what comes in the next piece
        parts = piece[: len(piece) - len(rest)].replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')
        outside = b"".join(parts[1::2] if is_string else parts[::2])
        is_string ^= len(parts) % 2 == 0
        count += outside.count(b",") + outside.count(b"[") + outside.count(b"{")
        if count > most:
            return True
    return False
