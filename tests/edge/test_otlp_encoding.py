"""What is written of spans is what OpenTelemetry's own exporter writes of them."""

from typing import Any

import pytest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from scalix.wiring.otlp_encoding import encoded

stock = pytest.importorskip(
    "opentelemetry.exporter.otlp.proto.common.trace_encoder", reason="the extra `traces` is not installed"
)
SCOPE, RESOURCE = InstrumentationScope("scalix", "1.2"), Resource({"service.name": "s" * 300, "a": ("x", "y"), "n": 3})
TRUE_TO_TYPE = {
    "a": 1,
    "b": 1.0,
    "c": True,
    "d": "1",
    "e": ("1",),
    "f": (),
    "g": -1,
    "h": 2**62,
    "i": "ü" * 200,
    "j": "",
}


def _span(attributes: dict[str, Any], parent: bool | None = None, state: str = "", code: Any = StatusCode.UNSET) -> Any:
    states = TraceState.from_header([state]) if state else None
    context = SpanContext(2**127 + 5, 2**63 + 9, False, TraceFlags(1), states)
    return ReadableSpan(
        "POST /v1/chat",
        context,
        SpanContext(2**127 + 5, 77, parent, TraceFlags(1)) if parent is not None else None,
        RESOURCE,
        attributes,
        kind=SpanKind.CLIENT if parent else SpanKind.SERVER,
        status=Status(code),
        start_time=1_796_065_970_827_000_001,
        end_time=1_796_065_970_927_000_002,
        instrumentation_scope=SCOPE,
    )


@pytest.mark.parametrize(
    "spans",
    [
        [_span({})],
        [_span(TRUE_TO_TYPE), _span({**TRUE_TO_TYPE, "a": 1.0, "b": True, "c": 1})],
        [_span({"n": number}, True, "blue=1,red=2", StatusCode.ERROR) for number in (0, 127, 128, 16_384, 2**40)],
        [_span({"x": "y" * 20_000}, False)],
    ],
)
def test_it_is_read_as_what_the_exporter_writes(spans: list[Any]) -> None:
    expected = stock.encode_spans(spans)
    found = type(expected).FromString(encoded(spans))
    assert found == expected
