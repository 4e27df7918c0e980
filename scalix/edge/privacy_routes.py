"""What operators do for one person, and the daily removal of what is old."""

from typing import Annotated
from urllib.parse import unquote_to_bytes

from scalix.domain.errors import BadRequest
from scalix.edge.rows import BY, Request, Row, calls
from scalix.service.described import Fields, Json
from scalix.service.ledger.retention import RetentionJob
from scalix.service.privacy.privacy import Privacy

_ONE_USER, _EXPORT = "/scalix/v1/users/", "/export"

Removed = Annotated[Json, Fields({dict[str, int]: "removed"})]


async def _run(retention: RetentionJob, asked: Request) -> Removed:
    return {"removed": await retention.run(asked.by)}


def _user_in(asked: Request) -> str:
    user = asked.scope["raw_path"].removeprefix(_ONE_USER.encode()).removesuffix(_EXPORT.encode())
    try:
        return unquote_to_bytes(user).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The user's id in the path is not UTF-8, percent-encoded.", param="user_id") from None


PRIVACY_ROWS: tuple[Row[Privacy], ...] = (
    Row("GET", f"{_ONE_USER}{{user}}{_EXPORT}", calls(Privacy.export, _user_in, BY)),
    Row("DELETE", f"{_ONE_USER}{{user}}", calls(Privacy.erase, _user_in, BY)),
)
RETENTION_ROWS: tuple[Row[RetentionJob], ...] = (Row("POST", "/scalix/v1/retention/run", _run),)
