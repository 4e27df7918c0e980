"""Samples, keeps and sends spans by OpenTelemetry's SDK. Nothing imports this where there are no traces."""

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, _get_from_env_or_default
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

import scalix
from scalix.domain.traceparent import Place
from scalix.edge.span_attributes import Span
from scalix.launch.settings.traces import HTTP, MODULES, protocol_of
from scalix.wiring.otlp_encoding import encoded

SHUTDOWN_S = 2.0
"""So long at most the last spans may take when a worker ends."""
SENT, DROPPED = "trace_spans_sent_total", "trace_spans_dropped_total"
Count = Callable[[str, float], None]
_SERVICE = "scalix-gateway"
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_KINDS = {True: SpanKind.CLIENT, False: SpanKind.SERVER}
_STATUS = {True: Status(StatusCode.ERROR), False: Status(StatusCode.UNSET)}

log = logging.getLogger("scalix.traces")


class SpanSending:
    """Samples, keeps and sends spans, in a thread of the SDK's from a queue that is bounded. What can't be sent is
    dropped. `count` is told how many were sent, and dropped."""

    def __init__(self, environ: Mapping[str, str], count: Count, exporter: SpanExporter | None = None) -> None:
        # What the SDK says of each batch that fails is said here once.
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        logging.getLogger("opentelemetry").propagate = False
        own = {"service.version": scalix.__version__}
        if not environ.get("OTEL_SERVICE_NAME") and "service.name" not in environ.get("OTEL_RESOURCE_ATTRIBUTES", ""):
            own["service.name"] = _SERVICE
        self._resource = Resource.create(own)
        self._scope = InstrumentationScope("scalix", scalix.__version__)
        self._sampler = _get_from_env_or_default()
        self._count = count
        self._processor = BatchSpanProcessor(Counted(exporter or _exporter(environ), count))
        self._queue: Any = self._processor._batch_processor._queue

    def is_sampled(self, parent: Place | None, trace_id: int) -> bool:
        context = None
        if parent is not None:
            flags = TraceFlags(int(parent.sampled))
            context = set_span_in_context(
                NonRecordingSpan(SpanContext(parent.trace_id, parent.span_id, is_remote=True, trace_flags=flags))
            )
        result = self._sampler.should_sample(context, trace_id, "request", SpanKind.SERVER)
        return result.decision is Decision.RECORD_AND_SAMPLE

    def record(self, span: Span) -> None:
        if len(self._queue) == self._queue.maxlen:
            self._count(DROPPED, 1)  # the oldest one
        self._processor.on_end(
            ReadableSpan(
                span.name,
                self._context(span.place.trace_id, span.place.span_id, span.place.state),
                self._context(span.place.trace_id, span.parent_id, is_remote=not span.is_client)
                if span.parent_id
                else None,
                self._resource,
                span.attributes,
                kind=_KINDS[span.is_client],
                status=_STATUS[span.has_failed],
                start_time=span.began_ns,
                end_time=span.ended_ns,
                instrumentation_scope=self._scope,
            )
        )

    def left_out(self) -> None:
        self._count(DROPPED, 1)

    def _context(self, trace_id: int, span_id: int, state: str = "", *, is_remote: bool = False) -> SpanContext:
        states = TraceState.from_header([state]) if state else None
        return SpanContext(trace_id, span_id, is_remote=is_remote, trace_flags=_SAMPLED, trace_state=states)

    async def close(self) -> None:
        """Send what is queued, for `SHUTDOWN_S` at most."""
        # Not by the loop's executor, which a process waits for when it ends.
        thread = threading.Thread(target=self._processor.shutdown, name="last-spans", daemon=True)
        thread.start()
        for _ in range(int(SHUTDOWN_S * 50)):
            if not thread.is_alive():
                return
            await asyncio.sleep(0.02)
        log.warning("the last spans could not be sent in %.0f s", SHUTDOWN_S)


class Counted(SpanExporter):
    """An exporter that counts what it has sent and what not, and says once that it can't."""

    def __init__(self, exporter: SpanExporter, count: Count) -> None:
        self._exporter = exporter
        self._count = count
        self._is_failing = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        try:
            result = self._exporter.export(spans)
        except Exception:
            result = SpanExportResult.FAILURE
        if result is SpanExportResult.SUCCESS:
            self._count(SENT, len(spans))
            if self._is_failing:
                log.warning("spans are sent again")
        else:
            self._count(DROPPED, len(spans))
            if not self._is_failing:
                what = (
                    "spans can't be sent and are dropped; look whether what OTEL_EXPORTER_OTLP_ENDPOINT names is there"
                )
                log.warning("%s, and what it says of them", what)
        self._is_failing = result is not SpanExportResult.SUCCESS
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return True


class _Written(SpanExporter):
    """OpenTelemetry's exporter over HTTP, with the spans written by us. `client` is what it sends by."""

    def __init__(self, exporter: SpanExporter, client: Any) -> None:
        self._exporter = exporter
        self._client = client

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        sent = self._client.export(encoded(spans))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _exporter(environ: Mapping[str, str]) -> SpanExporter:
    protocol = protocol_of(environ)
    exporter: SpanExporter = import_module(f"{MODULES[protocol][0]}.trace_exporter").OTLPSpanExporter()
    client = getattr(exporter, "_client", None)  # of another version it may be something else: then it writes itself
    is_known = protocol == HTTP and type(client).__name__ == "_OTLPHTTPClient"
    return _Written(exporter, client) if is_known else exporter
