"""What operators do for one person, and the daily removal of what is old."""

from typing import Any
from urllib.parse import unquote_to_bytes

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import Scope
from scalix.edge.rows import Request, Row
from scalix.service.ledger.retention import RetentionJob
from scalix.service.privacy.privacy import Privacy

_ONE_USER, _EXPORT = "/scalix/v1/users/", "/export"


async def _run(retention: RetentionJob, asked: Request) -> dict[str, Any]:
    return {"removed": await retention.run(asked.by)}


def _user_in(scope: Scope) -> str:
    user = scope["raw_path"].removeprefix(_ONE_USER.encode()).removesuffix(_EXPORT.encode())
    try:
        return unquote_to_bytes(user).decode("utf-8")
    except UnicodeDecodeError:
        raise BadRequest("The user's id in the path is not UTF-8, percent-encoded.", param="user_id") from None


PRIVACY_ROWS: tuple[Row[Privacy], ...] = (
    Row("GET", f"{_ONE_USER}{{user}}{_EXPORT}", lambda privacy, asked: privacy.export(_user_in(asked.scope), asked.by)),
    Row("DELETE", f"{_ONE_USER}{{user}}", lambda privacy, asked: privacy.erase(_user_in(asked.scope), asked.by)),
)
RETENTION_ROWS: tuple[Row[RetentionJob], ...] = (Row("POST", "/scalix/v1/retention/run", _run),)
