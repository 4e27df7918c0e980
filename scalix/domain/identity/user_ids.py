"""Which texts can name a user."""

from scalix.domain.errors import BadRequest
from scalix.domain.identity.subjects import RESERVED_PREFIXES

MAX_USER_ID_CHARS = 256


def checked_user_id(user: object, param: str = "user") -> str:
    """`user` if it can name a user, else `BadRequest`."""
    if not isinstance(user, str) or not user.strip() or len(user) > MAX_USER_ID_CHARS or not user.isprintable():
        raise BadRequest(f"'{param}' must be a printable text of 1 to {MAX_USER_ID_CHARS} characters.", param=param)
    return user


def named_from_outside(user: object, param: str = "user") -> str:
    """As `checked_user_id`, for a name that makes or charges a user: none that the gateway gives itself."""
    name = checked_user_id(user, param)
    if name.startswith(RESERVED_PREFIXES):
        prefix = name.partition(":")[0]
        message = f"'{param}' must not begin with '{prefix}:', which is kept for the gateway's own names. Take another."
        raise BadRequest(message, param=param)
    return name
