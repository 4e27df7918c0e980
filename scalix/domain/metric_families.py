"""All metrics of `GET /metrics`: what each is called, says and is split by, and how the figures of workers become one.

A metric is of the instance, all its workers together; with `_store_` in its name it is of all gateways of the store.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["counter", "gauge", "histogram"]
Merge = Callable[[Iterable[float]], float]

LATENCY_S = (0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
FIRST_BYTE_S = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
WAITED_S = (0.05, 0.25, 1.0, 2.5, 5.0, 10.0, 30.0)
CALL_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. `name` is without `scalix_`; `merge` makes one of the figures of several workers."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    merge: Merge = sum
    buckets: tuple[float, ...] = ()


def _counter(name: str, text: str, *labels: str) -> Family:
    return Family(name, "counter", text, labels)


def _gauge(name: str, text: str, *labels: str, merge: Merge = sum) -> Family:
    return Family(name, "gauge", text, labels, merge)


def _histogram(name: str, buckets: tuple[float, ...], text: str, *labels: str) -> Family:
    return Family(name, "histogram", text, labels, sum, buckets)


_ALL = (
    _counter("requests_total", "Admitted requests that have ended.", "model", "tier", "outcome"),
    _counter("requests_swept_total", "Requests of workers that died, charged by this instance in their place."),
    _counter("refusals_total", "Errors that clients were told.", "code"),
    _counter("tokens_total", "Tokens; cached ones are a part of the prompt's.", "model", "kind"),
    _counter("provider_cost_usd_total", "What providers take.", "model", "tier"),
    _counter("charge_usd_total", "What users are billed.", "model", "tier"),
    _counter("provider_errors_total", "Attempts that failed, also where a fallback has served.", "provider", "error"),
    _counter("deployment_attempts_total", "Attempts at deployments, by whether they answered.", "deployment", "result"),
    _counter("fallbacks_total", "Models that were passed over after they failed, by their provider.", "provider"),
    _counter("provider_answers_total", "Answers of providers, by what has asked them.", "provider", "engine"),
    _counter("cache_hits_total", "Answers that came from a cache, and cost nothing."),
    _counter("overshoots_total", "Requests that used more than was reserved: the rest is debt in their windows."),
    _counter("overshoot_tokens_total", "Tokens beyond what was reserved."),
    _counter("settlements_journaled_total", "Settlements that went to the journal, as the store did not take them."),
    _counter("health_checks_total", "Health checks of deployments, by their result.", "result"),
    _counter("worker_starts_total", "Workers that have started."),
    _counter("redis_errors_total", "Calls to the store that failed or came too late."),
    _counter("trace_spans_sent_total", "Spans of traces that were sent."),
    _counter(
        "trace_spans_dropped_total", "Spans of traces that were not sent: there were too many, or nobody took them."
    ),
    _counter("redis_breaker_opened_total", "How often a worker has found the store away."),
    _histogram("request_seconds", LATENCY_S, "From a request's admission to the end of its answer.", "provider"),
    _histogram("first_byte_seconds", FIRST_BYTE_S, "From a request's admission to a stream's first byte.", "provider"),
    _histogram("queued_seconds", WAITED_S, "How long requests have waited for a place, served or not."),
    _histogram("redis_call_seconds", CALL_S, "What a call to the store takes, as a request waits for it."),
    _gauge("requests_in_flight", "Requests in flight."),
    _gauge("requests_waiting", "Requests that wait for a place."),
    _gauge("reservations_open", "Reservations that are not settled yet."),
    _gauge("loop_lag_seconds", "How late the event loop of the latest worker is, on the average of 15 s.", merge=max),
    _gauge("loop_lag_worst_seconds", "The longest that an event loop was late within 15 s.", merge=max),
    _gauge("workers", "Workers that serve."),
    _gauge("resident_memory_bytes", "Memory of all workers."),
    _gauge("redis_breaker_open", "Workers that find the store away."),
    _gauge("journal_pending_bytes", "What workers have still to tell the store."),
    _gauge("journal_without_room", "Workers whose journal is full, or whose disk does not take it."),
    _gauge("models_in_service", "Models in service.", merge=max),
    _gauge("models_resting", "Those of them that rest for everybody, as they have failed.", merge=max),
    _gauge("deployment_cooling", "1 while the deployment rests for everybody.", "deployment", merge=max),
    _gauge("config_info", "1 for the configuration that is in force.", "version", merge=max),
    _gauge("certificate_expires_timestamp_seconds", "When the certificate that clients see ends.", merge=min),
    _gauge("custom_router_off", "Workers in which a custom_router is off.", "name"),
    _gauge("custom_router_overruns", "How often it has failed or been late since its code was loaded.", "name"),
    _gauge("build_info", "1 for the version of this gateway.", "version", merge=max),
    _gauge("store_up", "1 while the store answers.", merge=min),
    _gauge("store_emptied", "How often the store was found emptied.", merge=max),
    _gauge("store_requests_in_flight", "Reservations of all gateways that are not settled yet."),
    _gauge("store_memory_used_bytes", "Memory of the store's fullest server."),
    _gauge("store_memory_limit_bytes", "What that server may use: its maxmemory, else what its machine has."),
    _gauge("store_keys_expiring", "Virtual keys that end so soon.", "within"),
    _gauge("store_deployment_up", "1 while the deployment answers its health checks.", "deployment"),
    _gauge("store_backup_age_seconds", "Age of the last good backup."),
)
FAMILIES = {family.name: family for family in _ALL}


def series(family: Family, values: tuple[str, ...], suffix: str = "", le: str = "") -> str:
    """The name of one series, as Prometheus reads it."""
    labels = [f'{name}="{_escaped(value)}"' for name, value in zip(family.labels, values, strict=True)]
    if le:
        labels.append(f'le="{le}"')
    return f"scalix_{family.name}{suffix}" + (f"{{{','.join(labels)}}}" if labels else "")


def family_of(name: str) -> Family | None:
    """The family of a series; `None` of one that is not known here."""
    bare = name.partition("{")[0].removeprefix("scalix_")
    for suffix in ("", "_bucket", "_sum", "_count"):
        if bare.endswith(suffix) and (found := FAMILIES.get(bare.removesuffix(suffix))):
            return found
    return None


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
