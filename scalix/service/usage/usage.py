"""What somebody has used: counters, limits, days and models, for the one whose use it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, NotRequired

from scalix.domain.errors import NotPermitted
from scalix.domain.identity.subjects import Subject
from scalix.domain.identity.user_ids import checked_user_id
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.ledger.ledger import Balance, Summary, Sums
from scalix.domain.limits.calendar import rfc3339, window_index
from scalix.domain.limits.key_limits import KeyWindow
from scalix.domain.limits.key_states import key_states
from scalix.domain.limits.limit_overrides import Overrides
from scalix.domain.limits.limits import NANO_USD_PER_USD, Limits, Window
from scalix.domain.limits.quota import KeyTallies, Tallies, Tally
from scalix.service.administration.limit_views import LIMIT, shown_limits, shown_use
from scalix.service.administration.user_records import refuse_unknown_user
from scalix.service.described import Fields, Json
from scalix.service.identity.callers import Caller
from scalix.service.identity.users import UserDirectory, effective_limits, overrides_of
from scalix.service.policy_source import PolicySource
from scalix.service.queries import date_of, refuse_unknown_parameters, whole_number
from scalix.service.usage.sums import COUNTS, counts, summed
from scalix.store.base import UserRecord
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.quota.redis_limits import LimitTools
from scalix.store.records.redis_keys import KeyStore

DEFAULT_DAYS = 30
USER = "user_id"
_PARAMETERS = frozenset({"days", USER})
# A limit that is not enforced, and whence each is, are the operator's alone to see.
ShownLimit = Annotated[Json, Fields(LIMIT, {NotRequired[str]: "source", NotRequired[bool]: "enforce"})]
_SUMS = Fields({int: COUNTS, float: "charge_usd cost_usd"})
UseOfDay = Annotated[Json, Fields(_SUMS, {str: "date"})]
UseOfModel = Annotated[Json, Fields(_SUMS, {str: "model"})]
_LIMITS_OF_KEY = {list[Annotated[Json, LIMIT]]: "limits"}
UseOfKey = Annotated[Json, Fields({str: "key_name", str | None: "key_alias expires"}, _LIMITS_OF_KEY)]
_OVERVIEW = Fields(
    {str: "user_id time", str | None: "tier", float: "charge_today_usd cost_today_usd"},
    {int: "requests_today tokens_today requests_this_hour requests_in_flight", list[ShownLimit]: "limits"},
    {NotRequired[float]: "balance_usd balance_reserved_usd", NotRequired[UseOfKey]: "key"},
    {list[UseOfDay]: "by_day", list[UseOfModel]: "by_model"},
)
Overview = Annotated[Json, _OVERVIEW]
_UNUSED: KeyTallies = {KeyWindow.TOTAL: Tally()}


@dataclass(frozen=True, slots=True)
class Whose:
    """Whose usage is read. `tier` is `None` for the operator; `key` is the virtual key that was shown.

    `record` is there where somebody else asks for a user, who then must be known.
    """

    subject: Subject
    tier: str | None
    limits: Limits
    own: Overrides
    key: KeyRecord | None = None
    record: UserRecord | None = None
    is_operators_view: bool = False

    @property
    def user_id(self) -> str:
        """The user's name; of an address and of the operator, with its kind."""
        return self.subject.name if self.subject.kind == "user" else str(self.subject)


@dataclass(frozen=True, slots=True)
class Use:
    """What is read of one subject at one moment (`now_ms`, the store's)."""

    now_ms: int
    tallies: Tallies
    in_flight: int
    summaries: list[Summary]
    balance: Balance | None

    def window(self, window: Window) -> Tally:
        """The counters of the running window."""
        return self.tallies.get(window, Tally())

    @property
    def charge_today_nano_usd(self) -> int:
        """What is billed of today's requests."""
        today = window_index(Window.DAY, self.now_ms)
        return sum(summary.sums.charge_nano_usd for summary in self.summaries if summary.day == today)


@dataclass(frozen=True, eq=False)
class UsageReading:
    """The use case behind `GET /scalix/v1/usage`, and of Python's `get_user_usage`."""

    ledger: LedgerReader
    counters: LimitTools
    balances: BalanceStore
    directory: UserDirectory
    policy: PolicySource
    keys: KeyStore | None = None

    async def whose(self, caller: Caller, query: Mapping[str, str]) -> Whose:
        """Whose usage a caller may see and asks for: the own, or as operator a user's.

        Raises `BadRequest`, `NotPermitted`, `StoreUnavailable`.
        """
        named = query.get(USER)
        if caller.may_name_users and named is not None:
            return await self.of_user(checked_user_id(named, USER))
        own = Whose(
            caller.subject,
            caller.tier.name if caller.tier else None,
            caller.limits,
            overrides_of(caller.record) if caller.record else Overrides(),
            caller.key,
            is_operators_view=caller.may_name_users,
        )
        if named not in (None, own.user_id):
            message = "You may see your own usage only: leave 'user_id' out."
            raise NotPermitted(message, param=USER, who=str(caller.subject))
        return own

    async def of_user(self, user_id: str) -> Whose:
        """A user, blocked or not, as the operator sees them. Raises `StoreUnavailable`."""
        record = await self.directory.record(user_id, fresh=True)
        tier = self.policy.current.tier_or_default(record.tier)
        limits, own = effective_limits(tier, record), overrides_of(record)
        return Whose(Subject("user", user_id), tier.name, limits, own, record=record, is_operators_view=True)

    async def use(self, whose: Whose, days: int = 1) -> Use:
        """The counters of now, and the sums of today and the days before, `days` in all. Raises `StoreUnavailable`."""
        subject = str(whose.subject)
        now_ms, tallies = await self.counters.tallies(subject)
        today = window_index(Window.DAY, now_ms)
        return Use(
            now_ms,
            tallies,
            await self.counters.in_flight(subject),
            await self.ledger.summaries(subject, today - days + 1, today),
            await self.balances.balance(subject),
        )

    async def overview(self, caller: Caller, query: Mapping[str, str]) -> Overview:
        """The answer to `GET /scalix/v1/usage`. Raises `BadRequest`, `NotPermitted`, `UserNotFound`,
        `StoreUnavailable`."""
        return await self.shown(*await self.read(caller, query))

    async def read(self, caller: Caller, query: Mapping[str, str]) -> tuple[Whose, Use]:
        """What `shown` is made of. Raises as `overview`."""
        refuse_unknown_parameters(query, _PARAMETERS)
        most = self.policy.current.retention.days_days
        days = whole_number(query, "days", min(DEFAULT_DAYS, most), most)
        whose = await self.whose(caller, query)
        use = await self.use(whose, days)
        if whose.record is not None and not use.summaries:
            refuse_unknown_user(whose.record, use.tallies)
        return whose, use

    async def shown(self, whose: Whose, use: Use) -> Overview:
        """What was read, as its owner and the operator see it. Raises `StoreUnavailable`."""
        hour, today = use.window(Window.HOUR), use.window(Window.DAY)
        answer: dict[str, Any] = {
            "user_id": whose.user_id,
            "tier": whose.tier,
            "time": rfc3339(use.now_ms),
            "requests_today": today.requests_used,
            "tokens_today": today.tokens_used,
            "charge_today_usd": use.charge_today_nano_usd / NANO_USD_PER_USD,
            "cost_today_usd": use.charge_today_nano_usd / NANO_USD_PER_USD,  # the name of before
            "requests_this_hour": hour.requests_used,
            "requests_in_flight": use.in_flight,
            "limits": limits_of(whose, use),
        }
        if use.balance is not None:
            answer["balance_usd"] = use.balance.nano_usd / NANO_USD_PER_USD
            answer["balance_reserved_usd"] = use.balance.held_nano_usd / NANO_USD_PER_USD
        if whose.key is not None:
            answer["key"] = await self._key(whose.key)
        answer["by_day"] = _by_day(use.summaries)
        answer["by_model"] = _by_model(use.summaries)
        return answer

    async def _key(self, key: KeyRecord) -> UseOfKey:
        now_ms, tallies = (0, KeyTallies()) if self.keys is None else await self.keys.tallies(key)
        return {
            "key_name": f"sk-...{key.last_four}",
            "key_alias": key.alias,
            "expires": rfc3339(key.expires_ms) if key.expires_ms else None,
            "limits": [
                {
                    "limit": state.name,
                    **shown_use(state),
                    "reset_at": None if state.reset_ms is None else rfc3339(state.reset_ms),
                }
                for state in key_states(key.scope, tallies or _UNUSED, now_ms)
            ],
        }


def limits_of(whose: Whose, use: Use) -> list[ShownLimit]:
    """Every limit of a subject with its use. A limit that is not enforced is only the operator's to see."""
    shown = shown_limits(whose.limits, whose.own, use.tallies, use.now_ms, use.in_flight)
    if whose.is_operators_view:
        return shown
    hidden = ("source", "enforce")
    return [{name: limit[name] for name in limit if name not in hidden} for limit in shown if limit["enforce"]]


def shown_sums(sums: Sums) -> dict[str, Any]:
    """Sums as their user sees them: what is billed, also under its name of before, `cost_usd`."""
    charge_usd = sums.charge_nano_usd / NANO_USD_PER_USD
    return {**counts(sums), "charge_usd": charge_usd, "cost_usd": charge_usd}


def _by_day(summaries: list[Summary]) -> list[UseOfDay]:
    days = summed(summaries, lambda summary: summary.day)
    return [{"date": date_of(day), **shown_sums(days[day])} for day in sorted(days)]


def _by_model(summaries: list[Summary]) -> list[UseOfModel]:
    models = summed(summaries, lambda summary: summary.model)
    ordered = sorted(models, key=lambda model: (-models[model].tokens, -models[model].requests, model))
    return [{"model": model, **shown_sums(models[model])} for model in ordered]
