"""What is counted of each request as it ends, in this worker's own cells: a few additions and no call to anybody."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from math import isnan
from pathlib import Path

from scalix.domain.errors import GatewayError
from scalix.domain.ledger.deployment_sums import attempts_of
from scalix.domain.ledger.ledger import OTHER
from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.limits.quota import Charge, Outcome
from scalix.domain.metric_families import FAMILIES, Family, family_of, series
from scalix.domain.policy import Policy
from scalix.service.policy_source import PolicySource
from scalix.store.metric_cells import ABSENT, MetricCells

NO_TIER = "operator"
MOST_MODELS, MOST_PROVIDERS, MOST_CODES = 250, 20, 60
"""Of more names than that, those that come later are `other`."""
RESULTS = {
    Outcome.SUCCESS: "success",
    Outcome.CACHE_HIT: "success",
    Outcome.CLIENT_CUT: "client_left",
    Outcome.CLIENT_LEFT: "client_left",
    Outcome.PROVIDER_BROKE: "provider_failed",
    Outcome.PROVIDER_FAILED: "provider_failed",
    Outcome.PROVIDER_REFUSED: "provider_refused",
    Outcome.SWEPT: "swept",
}
"""The ledger's outcomes in fewer words: each of these is a series for every model and tier."""


class Counter:
    """One counter, by the values of its labels."""

    def __init__(self, cells: MetricCells, name: str) -> None:
        self._cells, self._family, self._values = cells, FAMILIES[name], cells.values
        self._known: dict[tuple[str, ...], int] = {}

    def add(self, amount: float, *labels: str) -> None:
        """Add to the number of these labels."""
        index = self._known.get(labels)
        if index is None:
            index = self._known[labels] = self._cells.cell(series(self._family, labels))
        self._values[index] += amount


class Histogram:
    """How often something took how long, by the values of its labels. Buckets are not cumulative here."""

    def __init__(self, cells: MetricCells, name: str) -> None:
        self._cells, self._family, self._values = cells, FAMILIES[name], cells.values
        self._bounds = self._family.buckets
        self._known: dict[tuple[str, ...], list[int]] = {}

    def observe(self, seconds: float, *labels: str) -> None:
        """Note one duration."""
        indexes = self._known.get(labels)
        if indexes is None:
            indexes = self._known[labels] = self._made(labels)
        values = self._values
        values[indexes[bisect_left(self._bounds, seconds)]] += 1
        values[indexes[-2]] += seconds
        values[indexes[-1]] += 1

    def _made(self, labels: tuple[str, ...]) -> list[int]:
        cell, family = self._cells.cell, self._family
        buckets = [cell(series(family, labels, "_bucket", le)) for le in (*map(str, self._bounds), "+Inf")]
        return [*buckets, cell(series(family, labels, "_sum")), cell(series(family, labels, "_count"))]


class _Names:
    """Which names of the configuration have series of their own, and the providers of its deployments."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        models = [*policy.models.values()]
        self.models = {model.name: model.name for model in models[:MOST_MODELS]}
        every = [*policy.models.values(), *policy.wildcards.values()]
        known = list(dict.fromkeys(way.provider for model in every for way in (model, *model.deployments)))
        self.providers = {name: name for name in known[:MOST_PROVIDERS]}
        self.deployments = {
            way.id: (way.id, self.providers.get(way.provider, OTHER))
            for model in models[:MOST_MODELS]
            for way in model.ways
        }

    def provider_of(self, model: str) -> str:
        found = self.policy.models.get(model)
        return self.providers.get(found.provider, OTHER) if found is not None else OTHER


class Meters:
    """The counters of one worker. Nothing of it is a user's, and no label is a client's word."""

    def __init__(self, directory: Path, policy: PolicySource) -> None:
        self._policy = policy
        self._names = _Names(policy.current)
        self.cells = cells = MetricCells(directory)
        self.close = cells.close
        for name, index in cells.named().items():  # what the worker before has left
            family = family_of(name)
            if family is None or family.kind == "gauge":
                cells.values[index] = ABSENT
        self._requests = Counter(cells, "requests_total")
        self._tokens = Counter(cells, "tokens_total")
        self._cost = Counter(cells, "provider_cost_usd_total")
        self._charge = Counter(cells, "charge_usd_total")
        self._errors = Counter(cells, "provider_errors_total")
        self._attempts = Counter(cells, "deployment_attempts_total")
        self._fallbacks = Counter(cells, "fallbacks_total")
        self._answers = Counter(cells, "provider_answers_total")
        self._seconds = Histogram(cells, "request_seconds")
        self._first_byte = Histogram(cells, "first_byte_seconds")
        self._refusals = Counter(cells, "refusals_total")
        self._codes = {one.code for one in _errors(GatewayError)}
        self._queued = Histogram(cells, "queued_seconds")
        self._calls = Histogram(cells, "redis_call_seconds")
        self._single: dict[str, Counter] = {}
        self._published: set[int] = set()  # where the gauges are that are shown
        for name, family in FAMILIES.items():
            if family.kind == "counter" and not family.labels:
                self.count(name, 0)  # so that what has not happened yet is 0, and its first time a rise
        self.count("worker_starts_total")

    def settled(self, charge: Charge, reserved_tokens: int) -> None:
        """Count a request that has ended. `reserved_tokens`: what it had room for; 0 for one that nobody limits."""
        detail, names = charge.detail, self._names
        if names.policy is not self._policy.current:
            names = self._names = _Names(self._policy.current)
        model, tier = names.models.get(detail.model, OTHER), detail.tier or NO_TIER
        provider = names.providers.get(detail.provider, OTHER)
        self._requests.add(1, model, tier, RESULTS[charge.outcome])
        if detail.prompt_tokens:
            self._tokens.add(detail.prompt_tokens, model, "prompt")
        if detail.completion_tokens:
            self._tokens.add(detail.completion_tokens, model, "completion")
        if detail.cached_tokens:
            self._tokens.add(detail.cached_tokens, model, "cached")
        if detail.cost_nano_usd:
            self._cost.add(detail.cost_nano_usd / NANO_USD_PER_USD, model, tier)
        if detail.charge_nano_usd:
            self._charge.add(detail.charge_nano_usd / NANO_USD_PER_USD, model, tier)
        if detail.latency_ms:
            self._seconds.observe(detail.latency_ms / 1000, provider)
        if detail.first_token_ms is not None:
            self._first_byte.observe(detail.first_token_ms / 1000, provider)
        if detail.engine:
            self._answers.add(1, provider, detail.engine)
        for deployment, _, error in attempts_of(charge):
            name, asked = names.deployments.get(deployment, (OTHER, OTHER))
            self._attempts.add(1, name, "failed" if error else "answered")
            if error:
                self._errors.add(1, asked, error)
        for name in detail.fallbacks:
            self._fallbacks.add(1, names.provider_of(name))
        if charge.outcome is Outcome.CACHE_HIT:
            self.count("cache_hits_total")
        if reserved_tokens and charge.tokens > reserved_tokens:
            self.count("overshoots_total")
            self.count("overshoot_tokens_total", charge.tokens - reserved_tokens)

    def refused(self, code: str) -> None:
        """Count an error that a client was told."""
        if code not in self._codes:
            if len(self._codes) >= MOST_CODES:
                code = OTHER
            self._codes.add(code)
        self._refusals.add(1, code)

    def queued(self, seconds: float) -> None:
        """Note how long a request has waited for a place."""
        self._queued.observe(seconds)

    def called(self, seconds: float) -> None:
        """Note how long a call to the store has taken."""
        self._calls.observe(seconds)

    def checked(self, is_failing: bool) -> None:
        """Count a health check."""
        self.count("health_checks_total", 1, "failed" if is_failing else "answered")

    def count(self, name: str, amount: float = 1, *labels: str) -> None:
        """Add to any counter, by its name."""
        counter = self._single.get(name)
        if counter is None:
            counter = self._single[name] = Counter(self.cells, name)
        counter.add(amount, *labels)

    def publish(self, gauges: Iterable[tuple[str, tuple[str, ...], float]]) -> None:
        """Put gauges in place, each as its name, the values of its labels, and its figure; all others are gone."""
        cells, values = self.cells, self.cells.values
        shown = {cells.cell(series(FAMILIES[name], labels)): value for name, labels, value in gauges}
        for index in self._published - shown.keys():
            values[index] = ABSENT
        for index, value in shown.items():
            values[index] = value
        self._published = set(shown)


def _errors(of: type[GatewayError]) -> Iterable[type[GatewayError]]:
    yield of
    for one in of.__subclasses__():
        yield from _errors(one)


def merged(read: Iterable[tuple[bool, Mapping[str, float]]]) -> dict[str, dict[str, float]]:
    """The figures of several workers as one, by family: counters of all there were, gauges of those that live."""
    families: dict[str, Family | None] = {}
    found: dict[str, dict[str, list[float]]] = {name: {} for name in FAMILIES}
    for is_alive, figures in read:
        for name, value in figures.items():
            if isnan(value):
                continue
            if name not in families:
                families[name] = family_of(name)
            family = families[name]
            if family is not None and (is_alive or family.kind != "gauge"):
                found[family.name].setdefault(name, []).append(value)
    return {
        name: {one: values[0] if len(values) == 1 else FAMILIES[name].merge(values) for one, values in rows.items()}
        for name, rows in found.items()
    }
