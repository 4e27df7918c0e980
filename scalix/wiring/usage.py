"""Builds usage, reports and metrics."""

from collections import Counter
from dataclasses import dataclass

from scalix.service.identity.users import UserDirectory
from scalix.service.usage.gateway_metrics import GatewayMetrics, Here
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.usage import UsageReading
from scalix.service.usage.usage_events import UsageEvents
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.ledger.redis_ledger import READ_TIMEOUT_MS, LedgerReader
from scalix.store.ledger.redis_memory import RedisMemory
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.quota.redis_limits import LimitTools
from scalix.wiring.exchange import ExchangeParts
from scalix.wiring.store import StoreParts

# The usage of one user is little to read, and somebody waits for it.
USAGE_TIMEOUT_MS = 2_000


@dataclass(frozen=True)
class UsageParts:
    """The use cases that report usage. `refusals` counts the refusals of this process by error code."""

    usage: UsageReading
    events: UsageEvents
    reporting: Reporting
    metrics: GatewayMetrics
    refusals: Counter[str]


def build_usage(store: StoreParts, users: UserDirectory, exchange: ExchangeParts) -> UsageParts:
    """Build the use cases, with a client of their own."""
    long = store.session_for_long_calls(READ_TIMEOUT_MS)
    session = long.within(USAGE_TIMEOUT_MS)
    ledger, everybodys, figures = LedgerReader(session), LedgerReader(long), DeploymentSumStore(long)
    usage = UsageReading(ledger, store.quotas, BalanceStore(session), users, store.policy, store.keys)
    refusals: Counter[str] = Counter()

    def here() -> Here:
        watch, shedding = exchange.watch, exchange.shedding
        return Here(
            len(exchange.exchanges),
            store.journal.pending_bytes,
            watch.times_emptied,
            dict(refusals),
            store_is_there=watch.store_is_there,
            waiting=len(shedding.line),
            queued=shedding.queued,
            queued_s=shedding.queued_s,
            custom_routers=exchange.fallbacks.routing.custom.states(),
        )

    metrics = GatewayMetrics(
        everybodys,
        store.keys,
        figures,
        here=here,
        leases=LimitTools(session).all_in_flight,
        memory=RedisMemory(session, machine_bytes=store.machine_bytes).fullest,
        checked=exchange.health.last,
    )
    events = UsageEvents(ledger, usage, store.policy, store.keys)
    return UsageParts(usage, events, Reporting(everybodys, store.policy, store.keys, figures), metrics, refusals)
