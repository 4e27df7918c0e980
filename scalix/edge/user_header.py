"""The header by which an operator's own backend names its user, where the config has one (`user_header_name`)."""

from typing import Any

from scalix.domain.errors import BadRequest
from scalix.edge.asgi import Scope, header
from scalix.service.identity.callers import Caller


def take_user(name: str, scope: Scope, principal: Caller, body: dict[str, Any]) -> None:
    """Write the user whom the header `name` (lower case) names into `body`, for a credential that may name users.

    Raises `BadRequest` where the body names another one: nobody could tell who is to be charged.
    """
    user = header(scope, name.encode("latin-1")) if name and principal.may_name_users else None
    if not user:
        return
    named = body.get("user")
    if named is not None and str(named) != user:
        message = f"The header {name} and the body's 'user' name different users. Send one of them."
        raise BadRequest(message, param="user")
    body["user"] = user
