"""`GET /metrics` in Prometheus' text format, for the operator's key or a token of its own. No user is named."""

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import psutil

import scalix
from scalix.domain.errors import InvalidApiKey
from scalix.domain.ledger.deployment_sums import DeploymentSums
from scalix.domain.ledger.ledger import Aggregate
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.edge.asgi import token_of
from scalix.edge.rows import Request, Row, operator_of
from scalix.edge.tables import Page
from scalix.service.identity.identity import NO_KEY, Identity
from scalix.service.usage.gateway_metrics import EXPIRING_WITHIN_DAYS, GatewayMetrics, Here, Snapshot
from scalix.service.usage.reporting import error_of

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

NO_TIER = "operator"
MOST_DEPLOYMENTS = 100
"""Of more than that, those with the most requests are in metrics; reports have all."""
_TODAY = " since 0:00 UTC, of all gateways of this store"


class MetricsRoute:
    """`token`, where it is set, lets a scraper in that is not the operator."""

    def __init__(self, identity: Identity, metrics: GatewayMetrics, token: str | None = None) -> None:
        self._identity = identity
        self._metrics = metrics
        self._digest = _digest(token) if token else None

    async def answer(self, asked: Request) -> Page:
        """The answer to one scrape. Raises `InvalidApiKey`, `NotPermitted`, `StoreUnavailable`."""
        token = token_of(asked.scope)
        if token is None:  # also where anonymous callers have a tier
            raise InvalidApiKey(NO_KEY)
        if not self._is_scraper(token):
            await operator_of(self._identity, asked.scope)
        return page_of(await self._metrics.snapshot())

    def _is_scraper(self, token: str) -> bool:
        return self._digest is not None and hmac.compare_digest(_digest(token), self._digest)


METRICS_ROWS = (Row("GET", "/metrics", MetricsRoute.answer, checks_access=True),)


def page_of(snapshot: Snapshot) -> Page:
    """A snapshot as Prometheus reads it."""
    from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4, CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(snapshot))
    return Page(generate_latest(registry), CONTENT_TYPE_PLAIN_0_0_4.encode())


class _Collector:
    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot

    def collect(self) -> "Iterator[Metric]":
        snapshot = self._snapshot
        yield _gauge("build_info", "the version of this gateway", [((scalix.__version__,), 1)], "version")
        yield _gauge("store_up", "1 while the store answers", [((), int(snapshot.store_is_up))])
        yield from _of_worker(snapshot.here)
        memory = snapshot.memory
        if memory is not None:
            yield _gauge("store_memory_used_bytes", "memory of the store's fullest server", [((), memory.used_bytes)])
            if memory.limit_bytes:
                text = "what that server may use: its maxmemory, else what its machine has"
                yield _gauge("store_memory_limit_bytes", text, [((), memory.limit_bytes)])
        if snapshot.requests_in_flight is not None:
            text = "requests in flight at all gateways of this store"
            yield _gauge("store_requests_in_flight", text, [((), snapshot.requests_in_flight)])
        if snapshot.keys_expiring is not None:
            text = f"virtual keys that end within {EXPIRING_WITHIN_DAYS} days"
            yield _gauge("keys_expiring", text, [((f"{EXPIRING_WITHIN_DAYS}d",), snapshot.keys_expiring)], "within")
        if snapshot.checked:
            text = "1 while the deployment answers its health checks"
            up = [((one.name,), int(not one.is_failing)) for one in snapshot.checked]
            yield _gauge("deployment_up", text, up, "deployment")
        if snapshot.today is not None:
            yield from _of_today(snapshot.today)
            yield from _of_deployments(snapshot.deployments)


def _of_worker(here: Here) -> "Iterator[Metric]":
    worker = (str(os.getpid()),)
    rss = psutil.Process().memory_info().rss
    for name, text, value in (
        ("worker_requests_in_flight", "requests in flight in the worker that answers", here.requests_in_flight),
        ("worker_requests_waiting", "requests that wait for a place in that worker", here.waiting),
        ("worker_journal_pending_bytes", "what that worker has still to tell the store", here.journal_pending_bytes),
        ("worker_store_emptied", "how often that worker has found the store emptied", here.store_emptied),
        ("worker_resident_memory_bytes", "memory of that worker", rss),
    ):
        yield _gauge(name, text, [(worker, value)], "worker")
    routers = here.custom_routers
    text = "1 while a custom_router is off in the worker that answers"
    yield _gauge(
        "worker_custom_router_off", text, [((*worker, r.name), int(r.is_off)) for r in routers], "worker", "name"
    )
    text = "how often it has failed there, or not answered in time, since its code was loaded"
    overruns = [((*worker, r.name), r.overruns) for r in routers]
    yield _gauge("worker_custom_router_overruns", text, overruns, "worker", "name")
    yield _queued(worker, here)
    yield _refusals(worker, here.refusals)


def _of_today(today: list[Aggregate]) -> "Iterator[Metric]":
    by_outcome = ("model", "tier", "outcome")
    requests = _summed(today, lambda one: (one.model, one.tier or NO_TIER, one.outcome), lambda one: one.sums.events)
    yield _gauge("requests_today", f"requests that ended{_TODAY}", requests, *by_outcome)
    tokens = _summed(today, lambda one: (one.model, one.tier or NO_TIER, one.outcome), lambda one: one.sums.tokens)
    yield _gauge("tokens_today", f"tokens that were counted{_TODAY}", tokens, *by_outcome)
    for name, text, figure, unit in (
        ("prompt_tokens_today", "tokens of prompts of requests that ended", "prompt_tokens", 1),
        ("cached_tokens_today", "those of them that providers had in their caches", "cached_tokens", 1),
        ("provider_cost_today_usd", "what providers take for requests that ended", "cost_nano_usd", NANO_USD_PER_USD),
        ("charge_today_usd", "what users are billed for requests that ended", "charge_nano_usd", NANO_USD_PER_USD),
    ):
        amounts = _summed(
            today,
            lambda one: (one.model, one.tier or NO_TIER),
            lambda one, figure=figure, unit=unit: getattr(one.sums, figure) / unit,  # type: ignore[misc]
        )
        yield _gauge(name, text + _TODAY, amounts, "model", "tier")
    failed = _summed(
        (one for one in today if error_of(one)),
        lambda one: (one.provider, one.model, error_of(one)),
        lambda one: one.sums.events,
    )
    yield _gauge("errors_today", f"requests that failed{_TODAY}", failed, "provider", "model", "error")


def _of_deployments(found: list[DeploymentSums]) -> "Iterator[Metric]":
    shown = sorted(found, key=lambda one: -one.requests)[:MOST_DEPLOYMENTS]
    for name, text, figure, unit in (
        ("requests", "attempts at deployments that ended", "requests", 1),
        ("prompt_tokens", "tokens of prompts of their answers", "prompt_tokens", 1),
        ("completion_tokens", "tokens of their answers", "completion_tokens", 1),
        ("cached_tokens", "tokens of prompts that they had in their caches", "cached_tokens", 1),
        ("cost_usd", "what they take for their answers", "cost_nano_usd", NANO_USD_PER_USD),
        ("timed", "answers whose time is in the next figure", "timed", 1),
        ("seconds", "how long these answers have taken together", "latency_ms", 1_000),
    ):
        amounts = [((one.deployment, one.engine), getattr(one, figure) / unit) for one in shown]
        yield _gauge(f"deployment_{name}_today", text + _TODAY, amounts, "deployment", "engine")
    text = f"attempts at deployments that failed, whether or not another has served then{_TODAY}"
    failed = [((one.deployment, one.engine, error), number) for one in shown for error, number in one.errors.items()]
    yield _gauge("deployment_errors_today", text, sorted(failed), "deployment", "engine", "error")


def _queued(worker: tuple[str], here: Here) -> "Metric":
    from prometheus_client.core import SummaryMetricFamily

    text = "how long requests have waited for a place in the worker that answers, since its start"
    family = SummaryMetricFamily("scalix_worker_queued_seconds", text, labels=("worker",))
    family.add_metric(worker, here.queued, here.queued_s)
    return family


def _refusals(worker: tuple[str], refusals: Mapping[str, int]) -> "Metric":
    from prometheus_client.core import CounterMetricFamily

    text = "errors that the worker which answers has answered itself, since its start"
    family = CounterMetricFamily("scalix_worker_refusals", text, labels=("worker", "code"))
    for code, number in sorted(refusals.items()):
        family.add_metric((*worker, code), number)
    return family


Samples = Iterable[tuple[tuple[str, ...], float]]


def _gauge(name: str, text: str, samples: Samples, *labels: str) -> "Metric":
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(f"scalix_{name}", text, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family


def _summed(
    items: Iterable[Aggregate], key: Callable[[Aggregate], tuple[str, ...]], value: Callable[[Aggregate], float]
) -> Samples:
    groups: dict[tuple[str, ...], float] = {}
    for item in items:
        group = key(item)
        groups[group] = groups.get(group, 0) + value(item)
    return sorted(groups.items())


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
