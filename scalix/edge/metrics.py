"""`GET /metrics` in Prometheus' text format, for the operator's key or a token of its own. No user is named."""

import hashlib
import hmac
from collections.abc import Iterable, Mapping

from scalix.domain.errors import InvalidApiKey
from scalix.domain.metric_families import FAMILIES
from scalix.edge.asgi import token_of
from scalix.edge.rows import Request, Row, operator_of
from scalix.edge.tables import Page
from scalix.service.identity.identity import NO_KEY, Identity
from scalix.service.metrics.gateway_metrics import GatewayMetrics

_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


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
            raise InvalidApiKey(NO_KEY, reason="no-key")
        if not self._is_scraper(token):
            await operator_of(self._identity, asked.scope)
        return page_of(await self._metrics.figures())

    def _is_scraper(self, token: str) -> bool:
        return self._digest is not None and hmac.compare_digest(_digest(token), self._digest)


METRICS_ROWS = (Row("GET", "/metrics", MetricsRoute.answer, checks_access=True),)


def page_of(figures: Mapping[str, Mapping[str, float]]) -> Page:
    """Figures by family and series, as Prometheus reads them."""
    lines: list[str] = []
    for name, rows in figures.items():
        if rows:
            family = FAMILIES[name]
            lines += (f"# HELP scalix_{name} {family.text}", f"# TYPE scalix_{name} {family.kind}")
            lines += _cumulative(rows) if family.buckets else (f"{one} {value!r}" for one, value in rows.items())
    return Page("\n".join([*lines, ""]).encode(), _TYPE)


def _cumulative(rows: Mapping[str, float]) -> Iterable[str]:
    """The series of a histogram: what fell into a bucket is in all that are larger."""
    so_far: dict[str, float] = {}
    for name, value in rows.items():
        before, is_bucket, _ = name.partition('le="')
        if is_bucket:
            value = so_far[before] = so_far.get(before, 0.0) + value
        yield f"{name} {value!r}"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
