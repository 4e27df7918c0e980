"""Operators' acts on users' records."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, NotRequired, Self
from uuid import uuid4

from pydantic import Field

from scalix.domain.errors import BadRequest, UserAlreadyExists, UserNotFound
from scalix.domain.identity.subjects import RESERVED_PREFIXES, user_subject
from scalix.domain.identity.user_ids import checked_user_id, named_from_outside
from scalix.domain.limits.calendar import rfc3339
from scalix.domain.limits.limits import NANO_USD_PER_USD, Window
from scalix.domain.limits.quota import Tallies, Tally
from scalix.domain.privacy import CONSENTS, consents
from scalix.service.administration.limit_views import ShownLimit, shown_windows
from scalix.service.administration.user_listing import GLANCE, listed, shown_glance
from scalix.service.administration.user_records import UserRecords, differences, refuse_unknown_user
from scalix.service.audit.audit import Act, Actor, recorded
from scalix.service.bodies import FLAG, USER_ID, JsonSchema, LimitsOfUser, ReadBy, RequestBody, UserId, flag
from scalix.service.described import Fields, Json
from scalix.service.identity.users import effective_limits, overrides_of
from scalix.store.base import UserExists, UserRecord

# Of LiteLLM's fields those that mean something here; descriptions are kept in the metadata.
_DESCRIPTIONS = ("user_alias", "user_email")
THE_ROLE = "internal_user"
MOST_DESCRIPTION_CHARS = 320
UNREADABLE = "This user's metadata is encrypted with a key that is not among those of SCALIX_ENCRYPTION_KEY"
# Metadata is the operator's own data about a person: that it was changed is told, not to what.
_TOLD_IN_AUDIT = ("tier", "blocked", "limits", "consent")

_FACTS = Fields(
    {str: "user_id tier", bool: "blocked", dict[str, Any]: "overrides", str | None: "created_at updated_at"},
    {dict[str, Any] | None: "metadata", NotRequired[Any]: _DESCRIPTIONS},
    {NotRequired[str]: "metadata_error missing_tier"},
)
_USE = Fields(
    {int: "requests_this_hour requests_today tokens_today in_flight_requests", float: "spend_today_usd cost_today_usd"}
)
Usage = Annotated[Json, _USE]
_INFO = Fields(_FACTS, {dict[str, bool]: "consent", Usage: "usage", list[ShownLimit]: "limits"})
SHOWN_USER = Fields(_INFO, {Annotated[Json, _INFO]: "user_info"})
ShownUser = Annotated[Json, SHOWN_USER]
ListedUser = Annotated[Json, Fields(_FACTS, GLANCE, {str: "user_role"})]
UserPage = Annotated[
    Json, Fields({list[ListedUser]: "users", int: "total page page_size total_pages", str | None: "next_cursor"})
]


def _role(value: Any, name: str) -> str:
    if value != THE_ROLE:
        message = f"'user_role' must be {THE_ROLE}: only the master key is the operator's."
        raise BadRequest(message, param=name)
    return THE_ROLE


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise BadRequest(f"'{name}' must be an object.", param=name)
    return value


def _consent(value: Any, name: str) -> dict[str, bool | None]:
    """What the user says now; `null` takes back."""
    changes = _object(value, name)
    for one, answer in changes.items():
        if one not in CONSENTS:
            message = f"'consent.{one[:100]}' is not known here. Known are: {', '.join(CONSENTS)}."
            raise BadRequest(message, param="consent")
        if answer is not None and not isinstance(answer, bool):
            raise BadRequest(f"'consent.{one}' must be true, false, or null for what is configured.", param="consent")
    return changes


def _description(value: Any, name: str) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > MOST_DESCRIPTION_CHARS):
        raise BadRequest(f"'{name}' must be a text of up to {MOST_DESCRIPTION_CHARS} characters.", param=name)
    return value


def _user_ids(value: Any, name: str) -> list[str]:
    if not isinstance(value, list) or not value:
        raise BadRequest("'user_ids' must be a list of user ids.", param="user_ids")
    return [checked_user_id(one, name) for one in value]


_CONSENT: JsonSchema = {"type": "object", "properties": {name: {"type": ["boolean", "null"]} for name in CONSENTS}}
_OF_DESCRIPTION = ReadBy(_description, {"type": ["string", "null"], "maxLength": MOST_DESCRIPTION_CHARS})


class UserFields(RequestBody):
    """What operators may write of a user, in LiteLLM's names."""

    tier: Annotated[Any, ReadBy(lambda value, name: value, {"type": ["string", "null"]})] = None
    blocked: Annotated[bool, ReadBy(flag, FLAG)] = False
    limits: LimitsOfUser = Field(default_factory=dict)
    metadata: Annotated[dict[str, Any], ReadBy(_object, {"type": "object"})] = Field(default_factory=dict)
    consent: Annotated[dict[str, bool | None], ReadBy(_consent, _CONSENT)] = Field(default_factory=dict)
    user_role: Annotated[str, ReadBy(_role, {"const": THE_ROLE})] = THE_ROLE
    user_alias: Annotated[str | None, _OF_DESCRIPTION] = None
    user_email: Annotated[str | None, _OF_DESCRIPTION] = None


class NewUser(UserFields):
    """A new user, with a key of its own unless `auto_create_key`, LiteLLM's field, is false. `null` is absent."""

    user_id: Annotated[str, ReadBy(named_from_outside, USER_ID)] = ""
    auto_create_key: Annotated[bool, ReadBy(flag, FLAG)] = True

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """As for every body, without nulls."""
        return super().read({name: value for name, value in body.items() if value is not None})


class UserChange(UserFields):
    """What is not named stays."""

    user_id: UserId


class Users(RequestBody):
    """Users to delete."""

    refuses_unknown: ClassVar[bool] = False
    user_ids: Annotated[
        list[str], ReadBy(_user_ids, {"type": "array", "minItems": 1, "items": USER_ID}), Field(description="name them")
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeletedUsers:
    """The users that are gone."""

    deleted: list[str]


@dataclass(frozen=True, eq=False)
class UserAdministration:
    """Makes, reads, changes and deletes users. Field names are those of LiteLLM's `/user/*` routes.

    `end_access` deletes a user's virtual keys and ends their sign-ins.
    """

    records: UserRecords
    end_access: Callable[[str, Actor], Awaitable[None]]

    async def new(self, body: NewUser, by: Actor) -> ShownUser:
        """Write a record for a user without one. Raises `BadRequest`, `UserAlreadyExists`."""
        record = self._changed(UserRecord(body.user_id or str(uuid4())), body)
        try:
            async with recorded(self.records.audit, _act("user.new", by, UserRecord(record.user_id), record, body)):
                written = await self.records.store.create(record)
        except UserExists:
            message = f"The user '{record.user_id}' exists already. Change it with POST /user/update."
            raise UserAlreadyExists(message, param="user_id") from None
        return await self._shown(written)

    async def listing(self, query: Mapping[str, str]) -> UserPage:
        """The users that have a record, in LiteLLM's pages. `user_ids` names some, separated by commas. By `cursor` and
        `prefix`, what their names begin with, they come in the order of their names, however many there are; an empty
        cursor is the beginning. Raises `BadRequest`."""
        found = await listed(self.records.store, query)
        glances = await self.records.counters.glances([user_subject(record.user_id) for record in found.records])
        return {
            "users": [
                {**self._facts(record), **shown_glance(glance), "user_role": THE_ROLE}
                for record, glance in zip(found.records, glances, strict=True)
            ],
            "total": found.total,
            "page": found.page,
            "page_size": found.size,
            "total_pages": -(-found.total // found.size),
            "next_cursor": found.next_cursor,
        }

    async def update(self, body: UserChange, by: Actor) -> ShownUser:
        """Change a record; a user without one gets one. Raises `BadRequest`, `UserChanging`."""
        user_id = body.user_id
        written = await self.records.change(
            user_id,
            lambda before: self._changed(before, body),
            lambda before, after: _act("user.update", by, before, after, body),
        )
        return await self._shown(written)

    async def info(self, user_id: str) -> ShownUser:
        """A user's record and use. Raises `UserNotFound` for a name that nobody has written or called with."""
        record = await self.records.store.get(checked_user_id(user_id, "user_id"))
        return await self._shown(record)

    async def delete(self, names: list[str], by: Actor) -> DeletedUsers:
        """Delete records, counters and virtual keys. Raises `UserNotFound`."""
        for name in names:
            if not await self._is_known(name):
                raise UserNotFound(f"The user '{name}' is not known. Nothing was deleted.", param="user_ids")
        for name in names:
            await self.end_access(name, by)
            async with recorded(
                self.records.audit, Act("user.delete", by, name, before=_told(await self.records.store.get(name)))
            ):
                await self.records.store.delete(name)
            self.records.directory.forget(name)
        return DeletedUsers(deleted=names)

    async def refuse_nobodys(self, user_id: object, has_keys: Callable[[str], Awaitable[bool]]) -> None:
        """Raise `BadRequest` for a name that the gateway gives, unless it has given it: a key's own user has a key, or
        a record from the time that it had one, and can be changed as others can."""
        if isinstance(user_id, str) and user_id.startswith(RESERVED_PREFIXES):
            if await has_keys(user_id) or (await self.records.store.get(checked_user_id(user_id, "user_id"))).exists:
                return
            named_from_outside(user_id, "user_id")

    async def _is_known(self, user_id: str) -> bool:
        record = await self.records.store.get(user_id)
        return record.exists or bool((await self.records.counters.tallies(user_subject(user_id)))[1])

    def _changed(self, record: UserRecord, body: UserFields) -> UserRecord:
        given = body.given()
        metadata, sealed = record.metadata, record.sealed_metadata
        if "metadata" in given:
            metadata, sealed = body.metadata, None
        described = {name: given[name] for name in _DESCRIPTIONS if given.get(name) is not None}
        if described and sealed is not None:
            raise BadRequest(f"{UNREADABLE}, so nothing can be added to it.", param=min(described))
        metadata = {**metadata, **described}
        return replace(
            record,
            tier=self._tier(body.tier) if "tier" in given else record.tier,
            blocked=given.get("blocked", record.blocked),
            limits=given.get("limits", record.limits),
            metadata=metadata,
            sealed_metadata=sealed,
            consent={name: answer for name, answer in {**record.consent, **body.consent}.items() if answer is not None},
        )

    def _tier(self, name: object) -> str | None:
        tiers = self.records.policy.current.tiers
        if name is not None and (not isinstance(name, str) or name not in tiers):
            raise BadRequest(f"'tier' must be one of: {', '.join(tiers)}.", param="tier")
        return name

    def _facts(self, record: UserRecord) -> dict[str, Any]:
        policy = self.records.policy.current
        return {
            "user_id": record.user_id,
            "tier": policy.tier_or_default(record.tier).name,
            **({} if record.tier in (None, *policy.tiers) else {"missing_tier": record.tier}),
            "blocked": record.blocked,
            **_metadata(record),
            "overrides": record.limits,
            "created_at": rfc3339(record.created_ms) if record.created_ms else None,
            "updated_at": rfc3339(record.updated_ms) if record.updated_ms else None,
        }

    async def _shown(self, record: UserRecord) -> ShownUser:
        now_ms, tallies = await self.records.counters.tallies(user_subject(record.user_id))
        refuse_unknown_user(record, tallies)
        if record.exists:
            self.records.directory.remember(record)
        tier = self.records.policy.current.tier_or_default(record.tier)
        info = {
            **self._facts(record),
            "consent": consents(record.consent, self.records.policy.current.privacy),
            "usage": _usage(tallies),
            "limits": shown_windows(effective_limits(tier, record), overrides_of(record), tallies, now_ms),
        }
        # LiteLLM's clients read the inner object, curl users the outer one.
        return {**info, "user_info": info}


def _metadata(record: UserRecord) -> dict[str, Any]:
    if record.sealed_metadata is not None:
        return {"metadata": None, "metadata_error": UNREADABLE}
    return {"metadata": record.metadata, **{name: record.metadata.get(name) for name in _DESCRIPTIONS}}


def _act(name: str, by: Actor, before: UserRecord, after: UserRecord, body: UserFields) -> Act:
    were, are = differences(_told(before), _told(after))
    fields = sorted(body.model_fields_set - {"user_id", "auto_create_key"})
    return Act(name, by, after.user_id, {"fields": fields}, before=were if before.exists else None, after=are)


def _told(record: UserRecord) -> dict[str, Any]:
    return {field: getattr(record, field) for field in _TOLD_IN_AUDIT}


def _usage(tallies: Tallies) -> Usage:
    hour, day = tallies.get(Window.HOUR, Tally()), tallies.get(Window.DAY, Tally())
    return {
        "requests_this_hour": hour.requests_used,
        "requests_today": day.requests_used,
        "tokens_today": day.tokens_used,
        "spend_today_usd": day.nano_usd_used / NANO_USD_PER_USD,
        "cost_today_usd": day.nano_usd_used / NANO_USD_PER_USD,  # the name of before
        "in_flight_requests": day.requests_held,
    }
