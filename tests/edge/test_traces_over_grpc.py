"""Spans over gRPC, to a real receiver: where the package is installed, which no extra of ours brings."""

import asyncio
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from scalix.launch.settings.traces import problem_of
from scalix.wiring.traces import build_sending, build_traces
from tests.edge.gates import in_process

grpc = pytest.importorskip("grpc", reason="opentelemetry-exporter-otlp-proto-grpc is not installed")
pytest.importorskip("opentelemetry.exporter.otlp.proto.grpc")


async def test_spans_come_to_a_receiver_of_grpc(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc

    received: list[Any] = []

    class Receiver(trace_service_pb2_grpc.TraceServiceServicer):
        def Export(self, request: Any, context: Any) -> Any:  # noqa: N802
            received.append(request)
            return trace_service_pb2.ExportTraceServiceResponse()

    server = grpc.server(ThreadPoolExecutor(2))
    add: Any = trace_service_pb2_grpc.add_TraceServiceServicer_to_server
    add(Receiver(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    variables = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{port}",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert problem_of(variables) is None
    counts: Counter[str] = Counter()
    sending = build_sending(variables, lambda name, amount: counts.update({name: int(amount)}))
    assert sending is not None
    try:
        async with in_process(tmp_path, store_url, traces=build_traces(sending, variables, "key")) as edge:
            answered = await edge.chat()
            async with asyncio.timeout(10):
                while not counts["trace_spans_sent_total"]:  # noqa: ASYNC110  # nobody tells of it
                    await asyncio.sleep(0.02)
    finally:
        await sending.close()
        server.stop(0)
    spans = [
        span for one in received for part in one.resource_spans for scope in part.scope_spans for span in scope.spans
    ]
    assert answered.status == 200
    assert [span.name for span in spans] == ["POST /v1/chat/completions"]
