"""Reading a form that a browser sends: small, and fields of text only."""

from urllib.parse import parse_qsl

from scalix.domain.errors import BadRequest, RequestTooLarge
from scalix.edge.asgi import Receive, Scope, header
from scalix.edge.bodies import ClientGone

MOST_BYTES = 64 * 1024
_MOST_FIELDS = 200
_TYPE = "application/x-www-form-urlencoded"


async def read_form(scope: Scope, receive: Receive) -> dict[str, str]:
    """The fields; of one that is there twice, the last. Raises `BadRequest`, `RequestTooLarge`, `ClientGone`."""
    if (header(scope, b"content-type") or "").partition(";")[0].strip().lower() != _TYPE:
        raise BadRequest(f"A form is sent as {_TYPE}.")
    raw, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        raw += message.get("body", b"")
        more = message.get("more_body", False)
        if len(raw) > MOST_BYTES:
            raise RequestTooLarge(f"The form is larger than {MOST_BYTES // 1024} KiB, the most that is read.")
    try:
        return dict(parse_qsl(raw.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS))
    except ValueError:  # no UTF-8, or too many fields
        raise BadRequest("The form can't be read.") from None
