"""Changes of users' records that hold when several are made at once."""

from collections.abc import Callable, Mapping
from typing import Any

from scalix.domain.errors import BadRequest, UserChanging, UserNotFound
from scalix.domain.limits.limit_overrides import LimitSyntaxError, parse_overrides
from scalix.domain.limits.quota import Tallies
from scalix.service.audit.audit import Act, AuditTrail, recorded
from scalix.service.identity.identity import checked_user_id
from scalix.store.base import RecordChanged, UserRecord
from scalix.store.records.redis_users import UserStore

_MOST_TRIES = 8


async def change_record(
    users: UserStore,
    user_id: str,
    change: Callable[[UserRecord], UserRecord],
    audit: AuditTrail,
    act: Callable[[UserRecord, UserRecord], Act],
) -> tuple[UserRecord, UserRecord]:
    """Apply `change` to the record as it is now, and write it: the record before and after. `act`, made of the two, is
    recorded before it is written.

    When somebody else has written it in between, `change` is applied anew, so that no change undoes another one's.
    Raises `UserChanging`, `StoreUnavailable`, and what `change` raises.
    """
    for _ in range(_MOST_TRIES):
        before = await users.get(user_id)
        after = change(before)
        try:
            async with recorded(audit, act(before, after)):
                return before, await users.update(after)
        except RecordChanged:
            continue
    raise UserChanging(f"The user '{user_id}' is being changed by others. Try again.", param="user_id")


def checked_limits(value: object, param: str = "limits") -> Mapping[str, Any]:
    """`value` if it can be a user's own limits, else `BadRequest` that names the entry."""
    try:
        parse_overrides(value, param)
    except LimitSyntaxError as error:
        raise BadRequest(f"'{error.where}' {error.what}: {error.fix}.", param=error.where) from None
    assert isinstance(value, Mapping)  # noqa: S101 - told to the type checker, which parse_overrides can't
    return value


def user_id_in(body: Mapping[str, Any]) -> str:
    """The user that a body names. Raises `BadRequest`."""
    if "user_id" not in body:
        raise BadRequest("'user_id' is missing: name the user.", param="user_id")
    return checked_user_id(body["user_id"], "user_id")


def refuse_unknown_fields(body: Mapping[str, Any], known: frozenset[str]) -> None:
    """Raises `BadRequest` that names a field which is not `known`."""
    unknown = body.keys() - known
    if unknown:
        name = min(unknown)
        raise BadRequest(
            f"The field '{name[:100]}' is not known here. Known are: {', '.join(sorted(known))}.", param=name[:100]
        )


def refuse_unknown_user(record: UserRecord, tallies: Tallies) -> None:
    """Raises `UserNotFound` for a name that nobody has written or called with."""
    if not record.exists and not tallies:
        message = f"The user '{record.user_id}' is not known: it has no record and has made no request."
        raise UserNotFound(message, param="user_id")
