"""Usage, reports and metrics, put together."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from scalix.service.exchange.exchanges import Exchanges
from scalix.service.exchange.store_watch import StoreWatch
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.service.usage.gateway_metrics import GatewayMetrics, Here
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.usage import UsageReading
from scalix.service.usage.usage_events import UsageEvents
from scalix.store.base import LimitTools
from scalix.store.connection.client import StoreClient
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.journal.journal import Journal
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger import READ_TIMEOUT_MS, RedisLedger
from scalix.store.ledger.redis_memory import RedisMemory
from scalix.store.quota.redis_balance import RedisBalanceStore
from scalix.store.quota.redis_leases import RedisLeases
from scalix.store.records.key_store import KeyStore

# Of one user there is little to read, and somebody waits for it.
USAGE_TIMEOUT_MS = 2_000
_CONNECTIONS = 2


@dataclass(frozen=True)
class UsageParts:
    """What the gateway tells of use. `client` is theirs alone: no request waits behind what a report reads. `refusals`
    counts this process's by the error's code."""

    usage: UsageReading
    events: UsageEvents
    reporting: Reporting
    metrics: GatewayMetrics
    client: StoreClient
    refusals: Counter[str]


def build_usage(
    url: str,
    keys: Keys,
    *,
    counters: LimitTools,
    key_store: KeyStore,
    directory: UserDirectory,
    policy: PolicySource,
    exchanges: Exchanges,
    journal: Journal,
    watch: StoreWatch,
    machine_bytes: Callable[[], int] = lambda: 0,
) -> UsageParts:
    """The use cases, over the store at `url`. `machine_bytes` is the memory that a server on this machine may use."""
    client = connect(url, timeout_ms=READ_TIMEOUT_MS, connections=_CONNECTIONS)
    session = StoreSession(client, keys, timeout_ms=USAGE_TIMEOUT_MS)
    ledger = RedisLedger(session)
    everybodys = RedisLedger(session.within(READ_TIMEOUT_MS))
    balances = RedisBalanceStore(session)
    usage = UsageReading(ledger, counters, balances, directory, policy, key_store)

    refusals: Counter[str] = Counter()

    def here() -> Here:
        return Here(len(exchanges), journal.pending_bytes, watch.times_emptied, dict(refusals))

    metrics = GatewayMetrics(
        everybodys,
        key_store,
        here=here,
        store_is_there=lambda: watch.store_is_there,
        leases=RedisLeases(session).count,
        memory=RedisMemory(session, machine_bytes=machine_bytes).fullest,
    )
    return UsageParts(
        usage,
        UsageEvents(ledger, usage, policy, key_store),
        Reporting(everybodys, policy, key_store),
        metrics,
        client,
        refusals,
    )
