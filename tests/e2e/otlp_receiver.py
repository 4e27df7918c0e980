"""An OTLP receiver over HTTP, which keeps the spans that it is sent, as Python values."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

trace_service = pytest.importorskip(
    "opentelemetry.proto.collector.trace.v1.trace_service_pb2", reason="the extra `traces` is not installed"
)
pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `traces` is not installed")

SERVER, CLIENT = 2, 3  # SpanKind, as OTLP has it
FAILED = 2  # StatusCode


@dataclass(frozen=True)
class Received:
    """One span. `resource` are the attributes of what has sent it."""

    name: str
    kind: int
    trace_id: str
    span_id: str
    parent_id: str
    state: str
    status: int
    seconds: float
    said: dict[str, Any]
    resource: dict[str, Any]


@dataclass
class Receiver:
    """`endpoint` is for OTEL_EXPORTER_OTLP_ENDPOINT; `raw` are the requests' bodies, `heads` their headers."""

    endpoint: str
    spans: list[Received] = field(default_factory=list)
    raw: list[bytes] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)

    def of(self, request_id: str, spans: int, within_s: float = 10.0) -> list[Received]:
        """The spans of a request, its own first, once there are `spans` of them."""
        until_s = time.monotonic() + within_s
        while time.monotonic() < until_s:
            own = [span for span in self.spans if span.said.get("scalix.request_id") == request_id]
            found = own + [span for span in self.spans if own and span.parent_id == own[0].span_id]
            if own and len(found) >= spans:
                return found
            time.sleep(0.02)
        raise AssertionError(f"{spans} spans of {request_id} have not come; there are {self.spans}")


@contextmanager
def receiving(status: int = 200) -> Iterator[Receiver]:
    """A receiver on a free port of this machine, until the block ends. `status` is what it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            receiver.raw.append(body)
            receiver.heads.append({name.lower(): value for name, value in self.headers.items()})
            if status == 200:
                receiver.spans += _spans(body)
            self.send_response(status)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _spans(body: bytes) -> list[Received]:
    request = trace_service.ExportTraceServiceRequest.FromString(body)
    return [
        Received(
            span.name,
            span.kind,
            span.trace_id.hex(),
            span.span_id.hex(),
            span.parent_span_id.hex(),
            span.trace_state,
            span.status.code,
            (span.end_time_unix_nano - span.start_time_unix_nano) / 1e9,
            _values(span.attributes),
            _values(sent.resource.attributes),
        )
        for sent in request.resource_spans
        for scope in sent.scope_spans
        for span in scope.spans
    ]


def _values(pairs: Any) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: Any) -> Any:
    kind = value.WhichOneof("value")
    return [_value(one) for one in value.array_value.values] if kind == "array_value" else getattr(value, kind)
