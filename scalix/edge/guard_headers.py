"""What a request's line and headers must look like, before anything believes them."""

import re
from collections import Counter
from collections.abc import Collection

from scalix.domain.errors import BadRequest, CodingNotRead
from scalix.edge.asgi import Scope, header

MOST_HEADERS = 100
MOST_HEADER_BYTES = 32 * 1024
LONGEST_QUERY = 8 * 1024
# Two of one of these, and two readers may believe two different things.
_ONCE = frozenset(
    {
        b"authorization",
        b"x-api-key",
        b"api-key",
        b"host",
        b"content-length",
        b"content-type",
        b"content-encoding",
        b"transfer-encoding",
        b"expect",
    }
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_LENGTH = re.compile(rb"[0-9]{1,19}")

_CHUNKED = b"chunked"


def check_headers(scope: Scope) -> None:
    """Raise `BadRequest` for headers that no honest client sends."""
    headers = scope["headers"]
    if len(headers) > MOST_HEADERS:
        raise BadRequest(f"The request has more than {MOST_HEADERS} headers, the most that are read.")
    if len(scope["query_string"]) > LONGEST_QUERY:
        raise BadRequest(f"The URL's query is longer than {LONGEST_QUERY} bytes, the most that is read.")
    # Of one given twice, the last; nothing below depends on which.
    fields = dict(headers)
    if len(fields) < len(headers):
        _refuse_twice(headers)
    values = [value for _, value in headers]
    # One search for all of them; a tab is allowed, and so joins nothing to anything.
    if _CONTROL.search(b"\t".join(values)):
        name = next((name for name, value in headers if _CONTROL.search(value)), b"")
        raise BadRequest(f"The header '{_shown(name)}' holds a control character.")
    length = fields.get(b"content-length")
    if length is not None and not _LENGTH.fullmatch(length):
        raise BadRequest("The header 'content-length' is no number.")
    if sum(map(len, values)) + sum([len(name) for name, _ in headers]) > MOST_HEADER_BYTES:
        raise BadRequest(f"The request's headers are larger than {MOST_HEADER_BYTES} bytes, the most that is read.")
    transfer = fields.get(b"transfer-encoding", _CHUNKED)
    if transfer.strip().lower() != _CHUNKED:
        # https://www.rfc-editor.org/rfc/rfc9112#section-6.1: what is not understood is a 501, and not guessed at.
        raise CodingNotRead("Of transfer encodings only 'chunked' is read. Send the body without compression.")
    if length is not None and b"transfer-encoding" in fields:
        raise BadRequest("The request has both 'transfer-encoding' and 'content-length'. Send one of them.")


def _refuse_twice(headers: list[tuple[bytes, bytes]]) -> None:
    times = Counter(name for name, _ in headers)
    for name in times:
        if times[name] > 1 and name in _ONCE:
            raise BadRequest(f"The header '{_shown(name)}' is there {times[name]} times. Send it once.")


def check_host(scope: Scope, allowed: Collection[str]) -> None:
    """Raise `BadRequest` for a missing or malformed `Host`, and for one that is not `allowed` where that names any."""
    host = header(scope, b"host")
    if host is None:
        if scope.get("http_version") == "1.0" and not allowed:
            return
        raise BadRequest("The request has no 'host' header.")
    if not _HOST.fullmatch(host):
        raise BadRequest("The header 'host' is malformed.")
    if not allowed:
        return
    name = host.lower() if host.endswith("]") else host.lower().rpartition(":")[0] or host.lower()
    name = name.removesuffix(".")
    if not any(name == one or (one.startswith("*.") and name.endswith(one[1:])) for one in allowed):
        raise BadRequest("This gateway is not served under the name in the 'host' header.")


def _shown(name: bytes) -> str:
    return name[:40].decode("ascii", "replace")
