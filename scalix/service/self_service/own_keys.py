"""Virtual keys that users make for themselves, as far as their tier lets them."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from scalix.domain.errors import BadRequest, KeyAliasTaken, KeyNotFound, NotPermitted
from scalix.domain.identity.key_secrets import is_digest
from scalix.domain.identity.subjects import RESERVED_PREFIXES
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.spans import span_ms
from scalix.service.administration.key_administration import KeyAdministration
from scalix.service.administration.key_fields import MOST_ALIAS_CHARS, KeysToDelete
from scalix.service.bodies import TEXT, ReadBy, RequestBody
from scalix.service.described import Fields, Json
from scalix.service.queries import refuse_unknown_parameters
from scalix.service.self_service.turns import Person, Turns
from scalix.service.usage.event_search import cursor_of, cursor_place
from scalix.store.ledger.redis_requests import Place
from scalix.store.records.redis_key_reading import KeyPlace

MOST_NAME_CHARS = 64
MOST_SHOWN = 100
LONGEST_GRACE = "7d"
PATH = "/scalix/v1/me/keys"
# Before the name in the alias, which no other key of anybody's may have.
_APART = "/"
_AS_THEY_ARE = (
    *("token", "key_name", "status", "created_at", "expires", "models", "max_budget", "spend", "requests", "tokens"),
    "replaced_keys_valid_until",
)
OWN_KEY = Fields(
    {str: "token key_name status", str | None: "name created_at expires replaced_keys_valid_until"},
    {bool: "self_made", list[str]: "models", float: "spend", float | None: "max_budget", int: "requests tokens"},
)
OwnKey = Annotated[Json, OWN_KEY]
OwnKeyWithSecret = Annotated[Json, Fields(OWN_KEY, {str: "key"})]
_COUNTS = {int: "total_count self_service_keys", int | None: "self_made", str | None: "next_cursor"}
OwnKeys = Annotated[Json, Fields({list[OwnKey]: "keys"}, _COUNTS)]


def _name(value: Any, name: str) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if not text or len(text) > MOST_NAME_CHARS or not text.isprintable() or _APART in text:
        message = f"'{name}' must be a printable text of 1 to {MOST_NAME_CHARS} characters without '{_APART}'."
        raise BadRequest(message, param=name)
    return text


def _span(value: Any, name: str) -> str | None:
    if value is not None and span_ms(value) is None:
        raise BadRequest(f"'{name}' must be a time such as 12h, 30d or 2w.", param=name)
    return None if value is None else str(value)


def _grace(value: Any, name: str) -> str | None:
    span = _span(value, name)
    if (span_ms(span) or 0) > (span_ms(LONGEST_GRACE) or 0):
        raise BadRequest(f"'{name}' may be {LONGEST_GRACE} at most.", param=name)
    return span


_NAME = ReadBy(_name, {**TEXT, "minLength": 1, "maxLength": MOST_NAME_CHARS})
_SPAN: Any = {"type": ["string", "null"]}


class NewOwnKey(RequestBody):
    """A key to be made; without `duration` it has no end."""

    name: Annotated[str, _NAME, Field(description="write what the key is for, such as laptop")]
    duration: Annotated[str | None, ReadBy(_span, _SPAN)] = None


class NewName(RequestBody):
    """A key's new name."""

    name: Annotated[str, _NAME, Field(description="write what the key is for, such as laptop")]


class Rotation(RequestBody):
    """A new secret; the old one works for `grace_period` more, by default not at all."""

    grace_period: Annotated[str | None, ReadBy(_grace, _SPAN)] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RevokedKey:
    """The key that is gone."""

    revoked: str


@dataclass(frozen=True, eq=False)
class SelfServiceKeys:
    """The use cases behind `/scalix/v1/me/keys`: a user's own keys, made, named, rotated and revoked by the user.

    Such a key has the user's tier and limits as every virtual key, and the defaults and bounds that hold for all.
    """

    keys: KeyAdministration
    turns: Turns

    def most(self, person: Person) -> int:
        """How many keys the user may have made."""
        tier, policy = person.caller.tier, self.keys.policy.current
        if tier is None or person.user_id.startswith(RESERVED_PREFIXES):
            return 0
        record = person.caller.record
        of_keys = policy.tier_or_default(record.tier if record else None)
        # A token may put its user into a lower tier than the one that keys would be in.
        order = list(policy.tiers)
        if of_keys.name != tier.name and order.index(of_keys.name) > order.index(tier.name):
            return 0
        return min(tier.self_service_keys, of_keys.self_service_keys)

    async def listing(self, person: Person, query: Mapping[str, str]) -> OwnKeys:
        """A page of the user's keys, on each those that the user has made first. `self_made` counts those that have not
        ended, where one page has all keys. Raises `BadRequest`, `StoreUnavailable`."""
        refuse_unknown_parameters(query, {"cursor"})
        place = KeyPlace(*cursor_place(query["cursor"])) if query.get("cursor") else None
        records, total, rest = await self.keys.keys.before(place, MOST_SHOWN, person.user_id)
        records = sorted(records, key=lambda record: not record.is_self_made)
        return {
            "keys": await asyncio.gather(*(self._shown(person, record) for record in records)),
            "total_count": total,
            "next_cursor": None if rest is None else cursor_of(Place(*rest)),
            "self_made": self._live(records) if total <= MOST_SHOWN else None,
            "self_service_keys": self.most(person),
        }

    async def make(self, person: Person, body: NewOwnKey) -> OwnKeyWithSecret:
        """Make a key and show it, this once. Raises `BadRequest`, `NotPermitted`, `KeyAliasTaken`,
        `RateLimitExceeded`, `UserChanging`, `StoreUnavailable`."""
        most = self._refused_without(person)
        alias = self._alias(person, body.name)
        async with self.turns.turn(person):
            if (live := self._live(await self.keys.keys.of_user(person.user_id))) >= most:
                message = f"You have made {live} keys, and your tier allows {most}. Revoke one to make another."
                raise NotPermitted(message)
            fields = {"user_id": person.user_id, "key_alias": alias, "duration": body.duration}
            try:
                made = await self.keys.generate(fields, person.by)
            except KeyAliasTaken:
                raise _taken(body.name) from None
        return {**_view(person, made, self_made=True), "key": made["key"]}

    async def rename(self, person: Person, token: str, body: NewName) -> OwnKey:
        """Give a key another name. Raises as `make`, and `KeyNotFound`, `KeyChanging`."""
        self._refused_without(person)
        alias = self._alias(person, body.name)
        async with self.turns.turn(person):
            await self._own(person, token)
            try:
                changed = await self.keys.update({"key": token, "key_alias": alias}, person.by)
            except KeyAliasTaken:
                raise _taken(body.name) from None
        return _view(person, changed, self_made=True)

    async def rotate(self, person: Person, token: str, body: Rotation) -> OwnKeyWithSecret:
        """Give a key a new secret and show it, this once. Raises as `rename`."""
        self._refused_without(person)
        async with self.turns.turn(person):
            if (await self._own(person, token)).has_expired(self.keys.now_ms()):
                raise BadRequest("This key has expired, and a new secret would have too. Make another.", param="key")
            rotated = await self.keys.regenerate(token, {"grace_period": body.grace_period}, person.by)
        return {**_view(person, rotated, self_made=True), "key": rotated["key"]}

    async def revoke(self, person: Person, token: str) -> RevokedKey:
        """Delete a key, which is refused from the next request on. Whoever has keys from a tier that let them make
        some may revoke them in every tier. Raises as `rename`."""
        async with self.turns.turn(person):
            await self._own(person, token)
            await self.keys.delete(KeysToDelete(keys=[token]), person.by)
        return RevokedKey(revoked=token)

    def _refused_without(self, person: Person) -> int:
        person.refuse_narrower_key()
        most = self.most(person)
        if not most:
            tier = person.caller.tier
            message = f"Users of your tier, '{tier.name if tier else '-'}', do not make keys themselves here."
            raise NotPermitted(message)
        return most

    def _live(self, records: list[KeyRecord]) -> int:
        now_ms = self.keys.now_ms()
        return sum(record.is_self_made and not record.has_expired(now_ms) for record in records)

    async def _own(self, person: Person, token: str) -> KeyRecord:
        record = await self.keys.keys.find(token) if is_digest(token) else None
        if record is None or record.user_id != person.user_id or record.digest != token:
            raise KeyNotFound(f"You have no such key. GET {PATH} lists yours, each with its 'token'.", param="key")
        if not record.is_self_made:
            raise NotPermitted("The operator of this gateway has made this key, so only they can change it.")
        return record

    async def _shown(self, person: Person, record: KeyRecord) -> OwnKey:
        return _view(person, await self.keys.shown(record), self_made=record.is_self_made)

    def _alias(self, person: Person, name: str) -> str:
        alias = f"{person.user_id}{_APART}{name}"
        if len(alias) > MOST_ALIAS_CHARS:
            room = MOST_ALIAS_CHARS - len(person.user_id) - len(_APART)
            raise BadRequest(f"'name' may have {max(room, 0)} characters beside your user id.", param="name")
        return alias


def _view(person: Person, shown: Json, *, self_made: bool) -> OwnKey:
    name = shown["key_alias"]
    if self_made and name is not None:
        name = name.removeprefix(f"{person.user_id}{_APART}")
    return {"name": name, "self_made": self_made, **{field: shown[field] for field in _AS_THEY_ARE}}


def _taken(name: str) -> KeyAliasTaken:
    return KeyAliasTaken(f"You have a key of the name '{name}' already. Choose another name.", param="name")
