"""What users do by themselves with what is kept of them: take it with them, have it erased, and consent."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import NotPermitted
from scalix.domain.privacy import consents
from scalix.service.administration.administration import UserAdministration, UserChange
from scalix.service.described import Json
from scalix.service.privacy.privacy import Erasure, Privacy
from scalix.service.self_service.turns import Person, Turns
from scalix.service.usage.usage_events import shown_error
from scalix.store.base import UserRecord

# So often within an hour: one reads all that is kept of a user, the other rewrites the store's files.
EXPORTS_COUNT_AS, ERASURES_COUNT_AS = 10, 30
# What is the operator's own: where an answer came from and what it cost them, and their notes on a person.
_OF_EVENTS = (
    *("cost_usd", "provider_cost_usd", "provider", "price_version"),
    *("deployment", "engine", "failed_deployments"),
)
_OF_RECORDS = ("metadata", "metadata_is_readable", "metadata_error", "created_by")


@dataclass(frozen=True, eq=False)
class OwnData:
    """The use cases of one's own data. They go by the rules of the operator's acts, and are recorded as the user's."""

    privacy: Privacy
    users: UserAdministration
    turns: Turns

    async def export(self, person: Person) -> Json:
        """All that is kept of the user, but for what is the operator's own. Raises `NotPermitted`,
        `RateLimitExceeded`, `UserChanging`, `UserNotFound`, `StoreUnavailable`."""
        async with self.turns.turn(person, EXPORTS_COUNT_AS):
            export = await self.privacy.export(person.user_id, person.by)
            return await asyncio.to_thread(_users_part, export, str(person.caller.subject))

    async def erase(self, person: Person) -> Erasure:
        """Erase all that is kept of the user, all keys and the balance too. Raises as `export`."""
        async with self.turns.turn(person, ERASURES_COUNT_AS):
            if self._is_held_back(await self.users.records.store.get(person.user_id)):
                message = (
                    "The operator of this gateway has set limits or a tier for you, or revoked tokens of yours, and an "
                    "erasure would lift that. Ask them to erase what is kept of you."
                )
                raise NotPermitted(message)
            return await self.privacy.erase(person.user_id, person.by)

    async def consent(self, person: Person) -> dict[str, bool]:
        """What the user agrees to: the user's own choice, else what is configured. Raises `StoreUnavailable`."""
        record = await self.users.records.store.get(person.user_id)
        return consents(record.consent, self.users.records.policy.current.privacy)

    async def set_consent(self, person: Person, changes: Mapping[str, bool | None]) -> dict[str, bool]:
        """Say what the user agrees to; `None` takes back. Raises as `export`, and `BadRequest`."""
        body = UserChange.read({"user_id": person.user_id, "consent": changes})
        async with self.turns.turn(person):
            shown = await self.users.update(body, person.by)
        return dict(shown["consent"])

    def _is_held_back(self, record: UserRecord) -> bool:
        """Whether who comes back without a record could do more than now."""
        policy = self.users.records.policy.current
        order = list(policy.tiers)
        tier = policy.tier_or_default(record.tier).name
        is_lower = order.index(tier) < order.index(policy.tier_or_default(None).name)
        return is_lower or bool(record.limits or record.revoked_tokens or record.tokens_valid_after_ms)


def _users_part(export: Json, subject: str) -> Json:
    part = _without(_OF_EVENTS)
    entries = [
        entry if entry.get("actor") == subject else {name: entry[name] for name in entry if name != "address"}
        for entry in export["audit"]
    ]
    record = export["record"]
    return {
        **export,
        "record": record and _without(_OF_RECORDS)(record),
        "keys": [_without(_OF_RECORDS)(key) for key in export["keys"]],
        "events": [{**part(event), "error": shown_error(event["error"])} for event in export["events"]],
        "summaries": [part(one) for one in export["summaries"]],
        "audit": entries,
    }


def _without(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    return lambda shown: {name: value for name, value in shown.items() if name not in names}
