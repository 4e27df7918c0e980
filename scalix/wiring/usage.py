"""Builds usage, reports and metrics."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

from scalix.service.identity.users import UserDirectory
from scalix.service.metrics.gateway_metrics import GatewayMetrics, StoreReadings, Workers
from scalix.service.metrics.gauges import Gauge, Gauges
from scalix.service.metrics.meters import MOST_MODELS, Meters
from scalix.service.usage.days import Days
from scalix.service.usage.limited import LimitedUsers
from scalix.service.usage.reporting import Reporting
from scalix.service.usage.requests import Requests
from scalix.service.usage.todays_figures import TodaysFigures
from scalix.service.usage.usage import UsageReading
from scalix.service.usage.usage_events import UsageEvents
from scalix.serving.tls import certificate_expires_at_s
from scalix.store.ledger.redis_deployment_sums import DeploymentSumStore
from scalix.store.ledger.redis_figures import FiguresStore
from scalix.store.ledger.redis_ledger import READ_TIMEOUT_MS, LedgerReader
from scalix.store.ledger.redis_memory import RedisMemory
from scalix.store.ledger.redis_requests import RequestReader
from scalix.store.metric_cells import FOLDER, MetricFiles
from scalix.store.quota.redis_balance import BalanceStore
from scalix.store.quota.redis_limits import LimitTools
from scalix.wiring.exchange import ExchangeParts
from scalix.wiring.store import StoreParts

# The usage of one user is little to read, and somebody waits for it.
USAGE_TIMEOUT_MS = 2_000


@dataclass(frozen=True)
class UsageParts:
    """The use cases that report usage, and what measures."""

    usage: UsageReading
    events: UsageEvents
    requests: Requests
    reporting: Reporting
    today: TodaysFigures
    limited: LimitedUsers
    metrics: GatewayMetrics
    meters: Meters
    gauges: Gauges


def build_usage(store: StoreParts, users: UserDirectory, exchange: ExchangeParts, meters: Meters) -> UsageParts:
    """Build the use cases, with a client of their own."""
    long = store.session_for_long_calls(READ_TIMEOUT_MS)
    session = long.within(USAGE_TIMEOUT_MS)
    ledger, everybodys, figures = LedgerReader(session), LedgerReader(long), FiguresStore(long)
    usage = UsageReading(ledger, store.quotas, BalanceStore(session), users, store.policy, store.keys)
    readings = StoreReadings(
        everybodys,
        store.keys,
        leases=LimitTools(session).all_in_flight,
        memory=RedisMemory(session, machine_bytes=store.machine_bytes).fullest,
        checked=exchange.health.last,
    )
    gauges = Gauges(meters, [partial(_gauges, store, exchange)])
    workers = Workers(meters, gauges, MetricFiles(store.state_dir / FOLDER))
    metrics = GatewayMetrics(workers, readings.all(), lambda: exchange.watch.store_is_there)
    events = UsageEvents(RequestReader(session), usage, store.policy, store.keys)
    reporting = Reporting(everybodys, store.policy, store.keys, DeploymentSumStore(long))
    today = TodaysFigures(everybodys, Days(everybodys, figures, store.policy), store.policy)
    limited = LimitedUsers(everybodys, figures, store.policy)
    return UsageParts(usage, events, Requests(events), reporting, today, limited, metrics, meters, gauges)


def _gauges(store: StoreParts, exchange: ExchangeParts) -> Iterable[Gauge]:
    """What the worker knows of itself."""
    watch, shedding, policy = exchange.watch, exchange.shedding, store.policy.current
    cooldowns = exchange.fallbacks.cooldowns
    yield "config_info", (policy.version,), 1
    yield "requests_in_flight", (), shedding.in_flight
    yield "requests_waiting", (), len(shedding.line)
    yield "reservations_open", (), len(exchange.exchanges)
    yield "redis_breaker_open", (), int(not store.breaker.is_closed)
    yield "store_emptied", (), watch.times_emptied
    yield "journal_pending_bytes", (), store.journal.pending_bytes
    yield "journal_without_room", (), int(not store.journal.has_room)
    yield "models_in_service", (), len(policy.models) + len(policy.wildcards)
    yield "models_resting", (), cooldowns.models_resting()
    for name in sorted(cooldowns.resting())[:MOST_MODELS]:
        yield "deployment_cooling", (name,), 1
    if (ends_at_s := certificate_expires_at_s()) is not None:
        yield "certificate_expires_timestamp_seconds", (), ends_at_s
    for router in exchange.fallbacks.routing.custom.states():
        yield "custom_router_off", (router.name,), int(router.is_off)
        yield "custom_router_overruns", (router.name,), router.overruns
