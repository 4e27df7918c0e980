"""What operators do for one person, and the daily removal of what is old."""

from typing import Annotated

from scalix.edge.names_in_paths import name_in
from scalix.edge.rows import BY, Request, Row, calls
from scalix.service.described import Fields, Json
from scalix.service.ledger.retention import RetentionJob
from scalix.service.privacy.privacy import Privacy

_ONE_USER, _EXPORT = "/scalix/v1/users/", "/export"

Removed = Annotated[Json, Fields({dict[str, int]: "removed"})]


async def _run(retention: RetentionJob, asked: Request) -> Removed:
    return {"removed": await retention.run(asked.by)}


def _user_in(asked: Request) -> str:
    return name_in(asked.scope, _ONE_USER, _EXPORT, param="user_id")


PRIVACY_ROWS: tuple[Row[Privacy], ...] = (
    Row("GET", f"{_ONE_USER}{{user}}{_EXPORT}", calls(Privacy.export, _user_in, BY)),
    Row("DELETE", f"{_ONE_USER}{{user}}", calls(Privacy.erase, _user_in, BY)),
)
RETENTION_ROWS: tuple[Row[RetentionJob], ...] = (Row("POST", "/scalix/v1/retention/run", _run),)
