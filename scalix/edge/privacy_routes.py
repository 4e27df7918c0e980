"""What operators do for one person, and the daily removal of what is old."""

from typing import Any

from scalix.domain.errors import BadRequest, RouteNotFound
from scalix.edge.asgi import Scope
from scalix.edge.routes import Own, user_in
from scalix.service.audit.audit import Actor
from scalix.service.ledger.retention import RetentionJob
from scalix.service.privacy.privacy import Privacy

PRIVACY_ROUTES = frozenset({Own.USER_EXPORT, Own.USER_ERASE, Own.RETENTION_RUN})


class PrivacyRoutes:
    """Answers an operator's requests about one user's data."""

    def __init__(self, privacy: Privacy, retention: RetentionJob) -> None:
        self._privacy = privacy
        self._retention = retention

    async def answer(self, target: Own, scope: Scope, by: Actor) -> Any:
        """The answer to one request. Raises `GatewayError`s."""
        match target:
            case Own.USER_EXPORT:
                return await self._privacy.export(_named(scope), by)
            case Own.USER_ERASE:
                return await self._privacy.erase(_named(scope), by)
            case Own.RETENTION_RUN:
                return {"removed": await self._retention.run(by)}
        raise RouteNotFound("There is no such route here. The README lists the routes.")


def _named(scope: Scope) -> str:
    try:
        return user_in(scope["raw_path"])
    except UnicodeDecodeError:
        raise BadRequest("The user's id in the path is not UTF-8, percent-encoded.", param="user_id") from None
