"""The stores that the contract suites run over, with a clock that tests set."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Ask, Charge, Outcome
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger import LedgerReader
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.quota.redis_limits import LimitTools
from scalix.store.quota.redis_quota import QuotaStore
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_users import UserStore
from tests.store.memory.memory import MemoryStore
from tests.store.memory.memory_keys import MemoryKeyStore
from tests.store.memory.memory_ledger import MemoryLedger

NOON_MS = 1_772_107_200_000  # 2026-02-26T12:00:00Z
SUBJECT = "user:alice"


@dataclass
class Clock:
    """A clock that stands until it is set."""

    now_ms: int = NOON_MS

    def __call__(self) -> int:
        return self.now_ms

    def advance(self, *, seconds: float = 0, hours: float = 0) -> None:
        self.now_ms += int((seconds + hours * 3600) * 1000)


@dataclass
class Rig:
    """A store under test, its users' store, its clock, and what to close afterwards."""

    quotas: QuotaStore
    users: UserStore | MemoryStore
    virtual_keys: KeyStore | MemoryKeyStore
    balances: BalanceStore | MemoryStore
    ledger: LedgerReader | MemoryLedger
    clock: Clock
    client: Any = None
    keys: Keys | None = None

    @property
    def session(self) -> StoreSession:
        """What the stores of a server work with, for others over the same keys."""
        assert self.client is not None
        assert self.keys is not None
        return StoreSession(self.client, self.keys, clock=self.clock, timeout_ms=5_000)

    @property
    def tools(self) -> LimitTools:
        """The same store as operators use it."""
        return cast(LimitTools, self.quotas)

    async def close(self) -> None:
        if self.client is not None:
            await self.client.aclose()


def memory_rig() -> Rig:
    clock = Clock()
    store = MemoryStore(clock)
    return Rig(cast(QuotaStore, store), store, MemoryKeyStore(store, clock), store, MemoryLedger(store), clock)


def redis_rig(url: str, prefix: str) -> Rig:
    clock = Clock()
    client = connect(url, timeout_ms=5_000)
    keys = Keys(prefix)
    session = StoreSession(client, keys, clock=clock, timeout_ms=5_000)
    quotas = QuotaStore(session)
    users = UserStore(session)
    virtual_keys = KeyStore(session)
    balances = BalanceStore(session)
    ledger = LedgerReader(session)
    return Rig(quotas, users, virtual_keys, balances, ledger, clock, client, keys)


def limits(
    *, requests: dict[str, int] | None = None, tokens: dict[str, int] | None = None, concurrent: int | None = None
) -> Limits:
    windows = [Limit(Metric.REQUESTS, Window(name), value) for name, value in (requests or {}).items()]
    windows += [Limit(Metric.TOKENS, Window(name), value) for name, value in (tokens or {}).items()]
    return Limits(tuple(windows), concurrent)


Asker = Callable[..., Ask]


def ask(request_id: str, given: Limits, **changes: Any) -> Ask:
    """An ask of 10 prompt tokens and up to 100 of output, if not changed."""
    values: dict[str, Any] = {
        "subject": SUBJECT,
        "prompt_tokens": 10,
        "output_cap_tokens": 100,
        "min_output_tokens": 16,
        **changes,
    }
    return Ask(request_id=request_id, limits=given, **values)


def used(tokens: int, *, requests: int = 1, nano_usd: int = 0) -> Charge:
    return Charge(Outcome.SUCCESS, requests, tokens, nano_usd)


def key_of(user_id: str, number: int, **changes: Any) -> KeyRecord:
    """A virtual key with names by its number."""
    values: dict[str, Any] = {"alias": f"{number}-of-{user_id}", **changes}
    return KeyRecord(f"k{number}", user_id, f"{number:x}"[-1] * 64, "abcd", **values)
