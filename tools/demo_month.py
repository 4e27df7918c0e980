"""Lives through the month of `make demo-data`, each user by the clock of the moment at which they do something."""

import asyncio
import hashlib
import os
from collections.abc import Iterable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from scalix.domain.identity.subjects import user_subject
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.ledger.audit_chain import Sealer, audit_keys
from scalix.domain.limits.calendar import DAY_MS, HOUR_MS
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.limits.quota import Admitted, Refused
from scalix.domain.policy import Policy, Tier
from scalix.service.administration.key_views import names_in, told_key
from scalix.service.audit.audit import Act, Actor
from scalix.service.audit.audit_log import AuditLog
from scalix.service.audit.audit_names import AuditNames
from scalix.service.deployments.sums import SumsOfDeployments
from scalix.service.policy_source import PolicySource
from scalix.store.base import UserRecord
from scalix.store.connection.redis_client import StoreClient
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.pseudonyms import Pseudonyms, PseudonymStore
from scalix.store.records.redis_audit import AuditStore
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_users import UserStore
from scalix.store.records.sealing import Sealing, encryption_keys
from tools.demo_people import DAYS, Somebody, everybody
from tools.demo_requests import Outage, Requests

_LANES = 48
_OPERATOR = Actor("operator:master")
_ALIASES = ("laptop", "desktop", "ci", "editor", "scripts", "work")
_OUTAGE_DAY, _OUTAGE_FROM, _OUTAGE_HOURS = 21, 13, 3.5
_now_ms: ContextVar[int] = ContextVar("now_ms")


@dataclass(frozen=True, slots=True)
class Month:
    """Days from `first_day` on (since 1970-01-01), up to `until_ms`."""

    first_day: int
    until_ms: int
    users: int
    seed: int


@dataclass(slots=True)
class Written:
    """How many there are of each."""

    users: int = 0
    requests: int = 0
    refused: int = 0
    keys: int = 0
    acts: int = 0
    log: list[tuple[int, Act]] = field(default_factory=list)


class _World:
    """The gateway's stores, by the clock of whoever uses them."""

    def __init__(self, client: StoreClient, names: Keys, policy: Policy, month: Month) -> None:
        session = StoreSession(client, names, clock=_now_ms.get, timeout_ms=30_000)
        source, self.pseudonyms, sealing = (
            PolicySource(policy),
            Pseudonyms(session),
            Sealing(encryption_keys(os.environ.get("SCALIX_ENCRYPTION_KEY"))),
        )
        self.policy, self.month = policy, month
        self.quotas = QuotaStore(session, retention=lambda: policy.retention, pseudonyms=self.pseudonyms)
        self.users, self.keys = UserStore(session, sealing=sealing), KeyStore(session, sealing=sealing)
        self.balances = BalanceStore(session)
        self.sums = SumsOfDeployments(DeploymentSumStore(session), source)
        audit_names = AuditNames(PseudonymStore(session, self.pseudonyms))
        sealer = Sealer(audit_keys(os.environ.get("SCALIX_AUDIT_KEY")))
        self.audit = AuditLog(AuditStore(session), sealer, source, now_ms=_now_ms.get, pseudonyms=audit_names)
        outage_ms = (month.first_day + _OUTAGE_DAY) * DAY_MS + _OUTAGE_FROM * HOUR_MS
        free = next((m for m in policy.models.values() if policy.tiers[policy.default_tier].allows(m.name)), None)
        provider = free.provider if free else ""
        self.requests = Requests(policy, Outage(provider, outage_ms, outage_ms + int(_OUTAGE_HOURS * HOUR_MS)))
        self.tiers = list(policy.tiers.values())
        self.written = Written()


class _Life:
    """One user's month."""

    def __init__(self, world: _World, who: Somebody) -> None:
        self._world = world
        self._who = who
        self._random = who.random
        who.place = min(who.place, len(world.tiers) - 1)
        self._record = UserRecord(who.user_id, tier=self._tier.name)
        self._keys: list[KeyRecord] = []

    @property
    def _tier(self) -> Tier:
        return self._world.tiers[self._who.place]

    async def live(self) -> None:
        """Live it."""
        first_day = self._world.month.first_day
        for day in range(self._who.joins, DAYS):
            times = [time for time in self._who.requests_of(day, first_day) if time < self._world.month.until_ms]
            if not times:
                continue
            if not self._record.exists:
                await self._join(times[0] - 60_000)
            was_refused = False
            for at_ms in times:
                _now_ms.set(at_ms)
                if not await self._ask(at_ms):
                    was_refused = True
                    if not self._who.upgrades(was_refused=True):
                        break  # they come back on another day, or they do not
                    await self._change(at_ms + 1_000, self._who.place + 1)
            if self._who.upgrades(was_refused=False):
                await self._change(times[-1] + 300_000, self._who.place + 1)
            elif self._who.downgrades():
                await self._change(times[-1] + 300_000, self._who.place - 1)
            if self._who.leaves_for_good(was_refused):
                return

    async def _join(self, at_ms: int) -> None:
        _now_ms.set(at_ms)
        self._record = await self._world.users.create(replace(self._record, created_ms=at_ms, updated_ms=at_ms))
        self._world.written.users += 1
        self._note(at_ms, Act("user.new", _OPERATOR, self._who.user_id, {"fields": ["tier"]}, after=self._told()))
        await self._settle_in(at_ms)

    async def _change(self, at_ms: int, place: int) -> None:
        if not 0 <= place < len(self._world.tiers):
            return
        _now_ms.set(at_ms)
        before, self._who.place = self._told(), place
        changed = replace(self._record, tier=self._tier.name, updated_ms=at_ms)
        self._record = await self._world.users.update(changed)
        act = Act("user.update", _OPERATOR, self._who.user_id, {"fields": ["tier"]}, before, self._told())
        self._note(at_ms, act)
        await self._settle_in(at_ms)

    async def _settle_in(self, at_ms: int) -> None:
        """What comes with a tier: a key, a balance."""
        if not self._keys and self._random.random() < (0.06, 0.5, 0.7)[min(self._who.place, 2)]:
            await self._make_key(at_ms + 20_000)
        if self._tier.markup_ppm > 0 and self._who.place > 0:
            usd, credit_id = self._random.choice((20, 50, 100)), f"pay_{self._random.getrandbits(48):012x}"
            _now_ms.set(at_ms + 30_000)
            await self._world.balances.credit(self._subject, usd * NANO_USD_PER_USD, credit_id)
            details = {"credit_id": credit_id, "amount_usd": float(usd)}
            self._note(at_ms + 30_000, Act("user.credit", _OPERATOR, self._who.user_id, details))

    async def _make_key(self, at_ms: int) -> None:
        _now_ms.set(at_ms)
        digest = hashlib.sha256(self._random.randbytes(32)).hexdigest()
        record = await self._world.keys.create(
            KeyRecord(
                key_id=f"{self._random.getrandbits(96):024x}",
                user_id=self._who.user_id,
                digest=digest,
                last_four=digest[:4],
                alias=f"{self._who.user_id.partition('@')[0]}-{self._random.choice(_ALIASES)}",
                created_by="operator:master",
                created_ms=at_ms,
                updated_ms=at_ms,
            )
        )
        self._keys.append(record)
        self._world.written.keys += 1
        told = told_key(record)
        object_ = f"key:{record.key_id}"
        self._note(
            at_ms,
            Act("key.generate", _OPERATOR, record.user_id, after=told, object=object_, hides=names_in(told)),
        )

    async def _ask(self, at_ms: int) -> bool:
        """Whether they were served."""
        world, key = self._world, self._keys[0] if self._keys and self._random.random() < 0.6 else None
        asked = world.requests.ask(self._random, self._tier, self._subject, at_ms, key.scope if key else None)
        if asked is None:
            return True
        decision = await world.quotas.admit(asked.ask)
        if isinstance(decision, Refused):
            world.written.refused += 1
            return False
        if isinstance(decision, Admitted):
            charge = world.requests.end(self._random, asked, decision.receipt)
            _now_ms.set(at_ms + charge.detail.latency_ms)
            await world.quotas.settle(decision.receipt, charge)
            world.sums.note(charge, at_ms, world.policy.models)
            world.written.requests += 1
        return True

    @property
    def _subject(self) -> str:
        return user_subject(self._who.user_id)

    def _told(self) -> dict[str, object]:
        return {"tier": self._tier.name, "blocked": False}

    def _note(self, at_ms: int, act: Act) -> None:
        self._world.written.log.append((at_ms, act))


async def write_month(client: StoreClient, names: Keys, policy: Policy, month: Month) -> Written:
    """Write the month into a store that must be empty. Raises `StoreUnavailable`."""
    world = _World(client, names, policy, month)
    _now_ms.set(month.first_day * DAY_MS)
    await world.pseudonyms.key()
    coming = iter(everybody(month.users, month.seed))
    await asyncio.gather(*(_lane(world, coming) for _ in range(_LANES)))
    _now_ms.set(month.until_ms)
    await world.sums.flush()
    for at_ms, act in sorted(world.written.log, key=lambda one: (one[0], one[1].user_id)):
        _now_ms.set(at_ms)
        await world.audit.record(act)
        world.written.acts += 1
    return world.written


async def _lane(world: _World, coming: Iterable[Somebody]) -> None:
    """One user after another. Each lane is a task, with a clock of its own."""
    for who in coming:
        await _Life(world, who).live()
