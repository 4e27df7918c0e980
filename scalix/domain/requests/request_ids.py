"""The id of a request: of the gateway's making, or begun by the client's own.

What is charged is charged once for each id, so one that a client could send twice is never the whole of it: after the
client's own come `~` and digits of ours. The client and the provider are told the client's, log and ledger have both.
"""

from collections.abc import Callable

import re2

from scalix.domain.redaction.foreign_texts import shown_text

HEADER = b"x-request-id"
_MARK = "~"
_SANE = re2.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def request_id(sent: str | None, random: Callable[[int], str]) -> str:
    """The id of a request whose client has `sent` one, which is taken if it is short, plain and no credential.
    `random` makes hexadecimal digits of so many bytes."""
    if sent is None or not _SANE.fullmatch(sent) or shown_text(sent) != sent:
        return random(16)
    return f"{sent}{_MARK}{random(8)}"


def told(request_id: str) -> str:
    """The id as the client and the provider know it."""
    return request_id.partition(_MARK)[0]
