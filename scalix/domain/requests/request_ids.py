"""The id of a request: of the gateway's making, or begun by the client's own.

What is charged is charged once for each id, so one that a client could send twice is never the whole of it: after the
client's own come `~` and digits of ours, which begin with the time. The client and the provider are told the client's,
log and ledger have both.
"""

from collections.abc import Callable

import re2

from scalix.domain.redaction.foreign_texts import shown_text

HEADER = b"x-request-id"
_MARK = "~"
_MADE = re2.compile(r"(?:^|~)([0-9a-f]{12})(?:[0-9a-f]{16}|[0-9a-f]{20})$")
_SANE = re2.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def request_id(sent: str | None, random: Callable[[int], str], now_ms: int) -> str:
    """The id of a request whose client has `sent` one, which is taken if it is short, plain and no credential.
    `random` makes hexadecimal digits of so many bytes."""
    if sent is None or not _SANE.fullmatch(sent) or shown_text(sent) != sent:
        return f"{now_ms:012x}{random(10)}"
    return f"{sent}{_MARK}{now_ms:012x}{random(8)}"


def made_at_ms(request_id: str) -> int | None:
    """When an id was made, in ms of Unix time, by which its request is found; of one from before, or of somebody else's
    making, nothing that makes sense."""
    made = _MADE.search(request_id)
    return int(made[1], 16) if made else None


def told(request_id: str) -> str:
    """The id as the client and the provider know it."""
    return request_id.partition(_MARK)[0]
