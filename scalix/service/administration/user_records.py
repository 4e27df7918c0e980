"""Changes of users' records that hold when several are made at once."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from scalix.domain.errors import GatewayError, UserChanging, UserNotFound
from scalix.domain.limits.quota import Tallies
from scalix.service.audit.audit import Act, AuditTrail, recorded
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.store.base import RecordChanged, UserRecord
from scalix.store.quota.redis_limits import LimitTools
from scalix.store.records.redis_users import UserStore

R = TypeVar("R")
_MOST_TRIES = 8


@dataclass(frozen=True, eq=False)
class UserRecords:
    """What operators' acts on users have in common: the records and their use, and where the acts are recorded.

    `directory` holds the records that this process has read.
    """

    store: UserStore
    counters: LimitTools
    directory: UserDirectory
    policy: PolicySource
    audit: AuditTrail

    async def change(
        self,
        user_id: str,
        change: Callable[[UserRecord], UserRecord],
        act: Callable[[UserRecord, UserRecord], Act],
    ) -> UserRecord:
        """As `changed_record`, for a user's record as it is now; the record as written.

        Raises `UserChanging`, `StoreUnavailable`, and what `change` raises.
        """

        async def write(_: UserRecord, after: UserRecord) -> UserRecord:
            return await self.store.update(after)

        refusal = UserChanging(f"The user '{user_id}' is being changed by others. Try again.", param="user_id")
        read = partial(self.store.get, user_id)
        _, written = await changed_record(read, change, act, write, audit=self.audit, refusal=refusal)
        self.directory.remember(written)
        return written


async def changed_record(
    read: Callable[[], Awaitable[R]],
    change: Callable[[R], R],
    act: Callable[[R, R], Act],
    write: Callable[[R, R], Awaitable[R]],
    *,
    audit: AuditTrail,
    refusal: GatewayError,
) -> tuple[R, R]:
    """Apply `change` to a record as it is now, and write it. Returns the record as it was read, and as it was written.

    `act` and `write` are given the record before and after the change; the act is recorded before it is done. When
    somebody else has written the record in between, all of it is done anew, so that no change undoes another one's;
    `refusal` is raised when that happens too often.
    """
    for _ in range(_MOST_TRIES):
        before = await read()
        after = change(before)
        try:
            async with recorded(audit, act(before, after)):
                return before, await write(before, after)
        except RecordChanged:
            continue
    raise refusal


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the fields that have changed were, and what they are."""
    changed = [name for name in after if before[name] != after[name]]
    return {name: before[name] for name in changed}, {name: after[name] for name in changed}


def refuse_unknown_user(record: UserRecord, tallies: Tallies) -> None:
    """Raises `UserNotFound` for a name that nobody has written or called with."""
    if not record.exists and not tallies:
        message = f"The user '{record.user_id}' is not known: it has no record and has made no request."
        raise UserNotFound(message, param="user_id")
