"""What operators do for one person: hand out everything that is kept of them, and erase it."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from typing import Annotated

from scalix.domain.errors import UserNotFound
from scalix.domain.identity.subjects import user_subject
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.calendar import DAY_MS, rfc3339
from scalix.domain.privacy import consents
from scalix.service.administration.key_views import SHOWN_KEY, shown_key
from scalix.service.audit.audit import Act, Actor, recorded
from scalix.service.audit.audit_parts import AuditParts
from scalix.service.audit.audit_reading import ShownEntry
from scalix.service.described import Fields, Json
from scalix.service.ledger.archive import Archive
from scalix.service.policy_source import PolicySource
from scalix.service.privacy.privacy_views import (
    SHOWN_DATA,
    ShownRecord,
    ShownSignIn,
    shown_data,
    shown_record,
    shown_sign_in,
)
from scalix.store.base import StoreUnavailable
from scalix.store.journal.set_aside import SetAside
from scalix.store.privacy.redis_erasure import Erased, ErasureStore
from scalix.store.privacy.redis_files import StoreFiles
from scalix.store.privacy.redis_personal_data import PersonalData, PersonalDataStore
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_sign_ins import SignInStore
from scalix.store.records.redis_users import UserStore

# Beside the names of users in the audit log, which are never this.
_BILLING = "billing of an erased user"

_KEY = Annotated[Json, Fields(SHOWN_KEY, {str: "key_id"})]
_EXPORT = Fields(
    {str: "user_id exported_at", ShownRecord | None: "record", dict[str, bool]: "consent", list[_KEY]: "keys"},
    {dict[str, str]: "archived_elsewhere", list[ShownEntry]: "audit", list[ShownSignIn]: "sign_ins"},
)
Export = Annotated[Json, Fields(_EXPORT, SHOWN_DATA)]
_ERASED = Annotated[Json, Fields(Erased, {int: "file_lines audit_names"})]
_ERASURE = Fields(
    {str: "user_id", _ERASED: "erased", int: "billing_days_kept", dict[str, str]: "archived_elsewhere store_files"}
)
Erasure = Annotated[Json, _ERASURE]

log = logging.getLogger("scalix.privacy")


@dataclass(frozen=True)
class PersonalStores:
    """Where the store keeps what belongs to one person."""

    users: UserStore
    keys: KeyStore
    data: PersonalDataStore
    erasure: ErasureStore
    files: StoreFiles
    sign_ins: SignInStore


@dataclass(frozen=True)
class PersonalFiles:
    """What this machine keeps of persons. `replay` tells the store what the journal holds, `note` notes an erasure of a
    subject for backups."""

    naming: Sequence[SetAside | Archive]
    archive: Archive
    replay: Callable[[], Awaitable[object]]
    note: Callable[[str], Awaitable[object]]


@dataclass(frozen=True, eq=False)
class Privacy:
    """The use cases behind `/scalix/v1/users/{id}`.

    `forget` drops what this process has cached of a user and keys; others notice at the next request, as every
    admission compares versions.
    """

    stores: PersonalStores
    audit: AuditParts
    files: PersonalFiles
    policy: PolicySource
    forget: Callable[[str, Sequence[KeyRecord]], None]
    now_ms: Callable[[], int]

    async def export(self, user: str, by: Actor) -> Export:
        """All that is kept of a user. Raises `BadRequest`, `UserNotFound`, `StoreUnavailable`."""
        user_id = checked_user_id(user, "user_id")
        record = await self.stores.users.get(user_id)
        keys = await self.stores.keys.of_user(user_id)
        data = await self._all_data(user_subject(user_id))
        entries = await self.audit.reading.about(user_id)
        sign_ins = await self.stores.sign_ins.of(user_subject(user_id))
        if not record.exists and not keys and data.is_empty and not entries and not sign_ins:
            raise UserNotFound(f"The user '{user_id}' is not known: nothing is kept of it.", param="user_id")
        await self.audit.log.record(Act("user.export", by, user_id))
        now_ms = self.now_ms()
        # In a thread: of a hundred thousand events it takes a second, and this process answers requests meanwhile.
        shown = await asyncio.to_thread(shown_data, data)
        return {
            "user_id": user_id,
            "exported_at": rfc3339(now_ms),
            "record": shown_record(record),
            "consent": consents(record.consent, self.policy.current.privacy),
            "keys": [
                {"key_id": key.key_id, **shown_key(key, (await self.stores.keys.tallies(key))[1], now_ms)}
                for key in keys
            ],
            **shown,
            "archived_elsewhere": await self._elsewhere(),
            "audit": entries,
            "sign_ins": [shown_sign_in(one) for one in sign_ins.values()],
        }

    async def erase(self, user: str, by: Actor) -> Erasure:
        """Erase all that is kept of a user, known or not; a call that failed in the middle can be made again, and goes
        on. Raises `BadRequest`, `StoreUnavailable`."""
        user_id = checked_user_id(user, "user_id")
        subject = user_subject(user_id)
        async with recorded(self.audit.log, Act("user.erase", by, user_id)):
            await self.files.replay()
            # First: who dies in between has said too much rather than too little, and begins again.
            await self.files.note(subject)
            keys = await self.stores.keys.of_user(user_id)
            billing_days = await self._keep_billing(user_id)
            erased = await self.stores.erasure.erase(user_id)
            self.forget(user_id, keys)
            lines = await self._forget_in_files(subject)
            # Last: until here a second call finds in the audit log whom the first one meant.
            names = await self.audit.names.forget(user_id)
            # Once more: a backup that was begun meanwhile holds what was not erased yet.
            await self.files.note(subject)
        return {
            "user_id": user_id,
            "erased": {**asdict(erased), "file_lines": lines, "audit_names": names},
            "billing_days_kept": billing_days,
            "archived_elsewhere": await self._elsewhere(),
            "store_files": await self._rewritten(),
        }

    async def _all_data(self, subject: str) -> PersonalData:
        data = await self.stores.data.of(subject)
        try:
            archived = await self.files.archive.events_of(subject)
        except (OSError, ValueError) as error:
            raise StoreUnavailable(f"the archive can't be read ({type(error).__name__})", counts=False) from error
        return replace(data, events=await asyncio.to_thread(_merged, archived, data.events))

    async def _elsewhere(self) -> dict[str, str]:
        return {
            rfc3339(day * DAY_MS)[:10]: host for day, host in sorted((await self.files.archive.elsewhere()).items())
        }

    async def _keep_billing(self, user_id: str) -> int:
        if not self.policy.current.privacy.keep_billing:
            return 0
        charges: Counter[int] = Counter()
        for summary in (await self.stores.data.of(user_subject(user_id))).summaries:
            charges[summary.day] += summary.sums.charge_nano_usd
        charges = +charges
        if charges:
            keep_days = self.policy.current.retention.days_days
            # Of one name for all tries to erase this user, and lost with the user's other names.
            name = await self.audit.names.named(user_id, _BILLING, keep_days)
            await self.stores.erasure.keep_billing(name, dict(charges), keep_days)
        return len(charges)

    async def _forget_in_files(self, subject: str) -> int:
        lines = 0
        for files in self.files.naming:
            try:
                lines += await files.forget(subject)
            except (OSError, ValueError) as error:
                message = f"files of the state directory could not be written ({type(error).__name__})"
                log.error("an erasure has to be made again: %s: %s", message, error)
                raise StoreUnavailable(message, counts=False) from error
        return lines

    async def _rewritten(self) -> dict[str, str]:
        try:
            return await self.stores.files.rewrite()
        except StoreUnavailable as fault:
            log.warning("the store's files still hold an erased user, until they are written anew: %s", fault)
            return {"append_only_file": "failed", "snapshot": "failed"}


def _merged(archived: Sequence[Event], kept: Sequence[Event]) -> list[Event]:
    # A day that is just being archived is in both.
    events = {event.request_id: event for event in [*archived, *kept]}
    # By millisecond, as to put all of them in order by name at once is one step that no other thread interrupts.
    in_time: dict[int, list[Event]] = {}
    for event in events.values():
        in_time.setdefault(event.admitted_ms, []).append(event)
    ordered = (sorted(in_time[at_ms], key=attrgetter("request_id")) for at_ms in sorted(in_time))
    return [event for some in ordered for event in some]
