"""Operators' acts on virtual keys. Paths and field names are those of LiteLLM's `/key/*` routes."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Any

from scalix.domain.errors import BadRequest, KeyAliasTaken, KeyChanging, KeyNotFound
from scalix.domain.identity.key_bounds import with_defaults, within
from scalix.domain.identity.key_secrets import digest_of, is_digest, secret_of
from scalix.domain.identity.subjects import KEYS_OWN_USER
from scalix.domain.identity.user_ids import named_from_outside
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.service.administration.key_fields import KeysToDelete, changed, grace_ms, spend_in
from scalix.service.administration.key_views import SHOWN_KEY, ShownKey, names_in, shown_key, told_key
from scalix.service.administration.user_records import changed_record, differences
from scalix.service.audit.audit import Act, Actor, AuditTrail, recorded
from scalix.service.described import Fields, Json
from scalix.service.identity.virtual_keys import VirtualKeys
from scalix.service.policy_source import PolicySource
from scalix.service.queries import refuse_unknown_parameters, whole_number
from scalix.service.usage.event_search import cursor_of, cursor_place
from scalix.store.ledger.redis_requests import Place
from scalix.store.records.redis_key_reading import KeyPlace
from scalix.store.records.redis_keys import AliasTaken, KeyStore

DEFAULT_PAGE_SIZE, MOST_PAGE_SIZE, MOST_PAGES = 10, 100, 1_000_000
MOST_FORMER = 5
_LIST_FIELDS = frozenset(
    {"page", "size", "cursor", "user_id", "key_alias", "key_hash", "return_full_object", "include_team_keys"}
)

KeyWithSecret = Annotated[Json, Fields(SHOWN_KEY, {str: "key"})]
FoundKey = Annotated[Json, Fields({str: "key", ShownKey: "info"})]
KeyPage = Annotated[
    Json,
    Fields(
        {list[str] | list[ShownKey]: "keys", int: "total_count current_page total_pages", str | None: "next_cursor"}
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedKeys:
    """The SHA-256 of the keys that are gone."""

    deleted_keys: list[str]


@dataclass(frozen=True, eq=False)
class KeyAdministration:
    """Makes, reads, changes and deletes keys. `now_ms` is Unix time, from which lives and periods count."""

    keys: KeyStore
    credentials: VirtualKeys
    policy: PolicySource
    audit: AuditTrail
    now_ms: Callable[[], int]

    async def generate(self, body: Mapping[str, Any], by: Actor) -> KeyWithSecret:
        """Make a key and show it, this once. One without `user_id` is of a user of its own, `key:<id>`.

        Raises `BadRequest`, `KeyAliasTaken`.
        """
        record, secret, spend = self.made(body, by)
        try:
            async with recorded(self.audit, _act("key.generate", by, record, after=told_key(record))):
                written = await self.keys.create(record)
        except AliasTaken as taken:
            raise _alias_taken(taken) from None
        if spend:
            await self.keys.set_spend(written, spend)
        self.credentials.forget(written)
        return {**await self.shown(written), "key": secret}

    def made(self, body: Mapping[str, Any], by: Actor) -> tuple[KeyRecord, str, int | None]:
        """A new key that is not written yet, its secret, and what it is to have spent. Raises `BadRequest`."""
        policy = self.policy.current
        body = within(with_defaults(body, policy.key_defaults), policy.key_bounds, whole=True)
        key_id, secret = secrets.token_hex(8), new_secret()
        user_id = body.get("user_id")
        user_id = f"{KEYS_OWN_USER}{key_id}" if user_id is None else named_from_outside(user_id, "user_id")
        blank = KeyRecord(key_id, user_id, digest_of(secret), secret[-4:], created_by=by.name)
        return self._changed(blank, body), secret, spend_in(body)

    async def has_keys(self, user_id: str) -> bool:
        """Whether any key is of this user."""
        return await self.keys.count_of(user_id) > 0

    async def info(self, key: object) -> FoundKey:
        """A key and its use. `key` is its secret or its SHA-256. Raises `BadRequest`, `KeyNotFound`."""
        record = await self._found(key)
        return {"key": record.digest, "info": await self.shown(record)}

    async def listing(self, query: Mapping[str, str]) -> KeyPage:
        """Keys, the newest first: their SHA-256, or all of them. In LiteLLM's pages, or by `cursor`, where an empty one
        is the beginning. Raises `BadRequest`."""
        refuse_unknown_parameters(query, _LIST_FIELDS)
        page = whole_number(query, "page", 1, MOST_PAGES)
        size = whole_number(query, "size", DEFAULT_PAGE_SIZE, MOST_PAGE_SIZE)
        user_id, first, rest = query.get("user_id"), (page - 1) * size, None
        if "key_hash" in query or "key_alias" in query:
            record = await self._one(query)
            found = [record] if record is not None and user_id in (None, record.user_id) else []
            total, records = len(found), found[first : first + size]
        elif "cursor" in query:
            place = KeyPlace(*cursor_place(query["cursor"])) if query["cursor"] else None
            records, total, rest = await self.keys.before(place, size, user_id)
        else:
            total, records = await self.keys.page(first, size, user_id)
        full = query.get("return_full_object", "false").lower() == "true"
        return {
            "keys": await asyncio.gather(*map(self.shown, records)) if full else [item.digest for item in records],
            "total_count": total,
            "current_page": page,
            "total_pages": -(-total // size),
            "next_cursor": None if rest is None else cursor_of(Place(*rest)),
        }

    async def update(self, body: Mapping[str, Any], by: Actor) -> KeyWithSecret:
        """Change a key; what is not named stays. Raises `BadRequest`, `KeyNotFound`, `KeyAliasTaken`, `KeyChanging`."""
        body = within(body, self.policy.current.key_bounds, whole=False)
        spend = spend_in(body)
        written = await self._change("key.update", body.get("key"), lambda record: self._changed(record, body), by)
        if spend is not None:
            details = {"spend": body["spend"]}
            async with recorded(self.audit, replace(_act("key.spend", by, written), details=details)):
                await self.keys.set_spend(written, spend)
        shown_text = await self.shown(written)
        return {**shown_text, "key": written.digest}

    async def set_blocked(self, key: object, by: Actor, *, blocked: bool) -> ShownKey:
        """Block or unblock a key. Raises `BadRequest`, `KeyNotFound`, `KeyChanging`."""
        name = "key.block" if blocked else "key.unblock"
        written = await self._change(name, key, lambda record: replace(record, blocked=blocked), by)
        return await self.shown(written)

    async def delete(self, body: KeysToDelete, by: Actor) -> DeletedKeys:
        """Delete keys by secret or SHA-256 (`keys`) or by alias (`key_aliases`): all, or none of them if one is not
        known. Raises `BadRequest`, `KeyNotFound`."""
        keys, aliases = body.keys, body.key_aliases
        if not keys and not aliases:
            raise BadRequest("Name the keys to delete, in 'keys' or in 'key_aliases'.", param="keys")
        records = [await self._found(key, "keys") for key in keys]
        for alias in aliases:
            record = await self.keys.find_alias(alias)
            if record is None:
                raise KeyNotFound(f"There is no key with the alias '{shown_text(alias, 100)}'.", param="key_aliases")
            records.append(record)
        for record in records:
            await self._delete(record, by)
        return DeletedKeys(deleted_keys=[record.digest for record in records])

    async def delete_all_of(self, user_id: str, by: Actor) -> None:
        """Delete every key of a user."""
        while records := await self.keys.of_user(user_id):
            for record in records:
                await self._delete(record, by)

    async def regenerate(self, key: object, body: Mapping[str, Any], by: Actor) -> KeyWithSecret:
        """Give a key a new secret, and show it, this once. The old one works for `grace_period` more, by default not at
        all. Other fields change as in `update`. Raises `BadRequest`, `KeyNotFound`, `KeyAliasTaken`, `KeyChanging`."""
        secret, grace = new_secret(), grace_ms(body)

        def rotated(record: KeyRecord) -> KeyRecord:
            now_ms = self.now_ms()
            former = {digest: end for digest, end in record.former.items() if end > now_ms}
            if grace:
                former[record.digest] = now_ms + grace
            kept = sorted(former.items(), key=lambda pair: -pair[1])[:MOST_FORMER]
            fresh = replace(record, digest=digest_of(secret), last_four=secret[-4:], former=dict(kept))
            after = self._changed(fresh, body)
            if after.has_expired(now_ms):
                message = "This key has expired, and a new secret would have too. Give it a 'duration', or make a key."
                raise BadRequest(message, param="duration")
            return after

        written = await self._change("key.regenerate", key, rotated, by)
        return {**await self.shown(written), "key": secret}

    async def _change(self, name: str, key: object, change: Callable[[KeyRecord], KeyRecord], by: Actor) -> KeyRecord:
        """As `changed_record`, for the record of a key. Raises `KeyAliasTaken`, `KeyChanging`."""

        def act(before: KeyRecord, after: KeyRecord) -> Act:
            were, are = differences(told_key(before), told_key(after))
            return _act(name, by, after, before=were, after=are)

        read, write = partial(self._found, key), self.keys.update
        refusal = KeyChanging("The key is being changed by others. Try again.", param="key")
        try:
            before, written = await changed_record(read, change, act, write, audit=self.audit, refusal=refusal)
        except AliasTaken as taken:
            raise _alias_taken(taken) from None
        self.credentials.forget(before)
        self.credentials.forget(written)
        return written

    async def _delete(self, record: KeyRecord, by: Actor) -> None:
        async with recorded(self.audit, _act("key.delete", by, record, before=told_key(record))):
            await self.keys.delete(record)
        self.credentials.forget(record)

    def _changed(self, record: KeyRecord, body: Mapping[str, Any]) -> KeyRecord:
        if body.get("user_id") not in (None, record.user_id):
            message = f"A key stays with its user, '{record.user_id}'. Make a new key for the other one."
            raise BadRequest(message, param="user_id")
        return changed(record, body, self.policy.current, self.now_ms())

    async def _found(self, key: object, param: str = "key") -> KeyRecord:
        if not isinstance(key, str) or not key:
            raise BadRequest(f"'{param}' is missing: name the key, or its SHA-256 ('token').", param=param)
        if not key.startswith("sk-") and not is_digest(key):
            message = f"'{param}' must be a key (sk-…) or its SHA-256 ('token', 64 characters)."
            raise BadRequest(message, param=param)
        record = await self.keys.find(key if is_digest(key) else digest_of(key))
        if record is None:
            raise KeyNotFound("There is no such key. GET /key/list lists those that there are.", param=param)
        return record

    async def _one(self, query: Mapping[str, str]) -> KeyRecord | None:
        """The key with the SHA-256 and the alias that a query names."""
        if "key_alias" not in query:
            return await self.keys.find(query["key_hash"])
        record = await self.keys.find_alias(query["key_alias"])
        return record if record is not None and query.get("key_hash") in (None, record.digest) else None

    async def shown(self, record: KeyRecord) -> ShownKey:
        """A key as operators see it. Raises `StoreUnavailable`."""
        _, tallies = await self.keys.tallies(record)
        return shown_key(record, tallies, self.now_ms())


def new_secret() -> str:
    """A key that nobody has, from the system's source of randomness."""
    return secret_of(secrets.randbits(256))


def _act(
    name: str,
    by: Actor,
    record: KeyRecord,
    *,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> Act:
    hides = tuple(name for told in (before, after) if told for name in names_in(told))
    target = f"key:{record.key_id}"
    return Act(name, by, record.user_id, before=before, after=after, object=target, hides=hides)


def _alias_taken(taken: AliasTaken) -> KeyAliasTaken:
    return KeyAliasTaken(f"Another key has the alias '{taken}' already.", param="key_alias")
