"""Who may say what of traces, what they cost where there are none, and what becomes of them when nobody takes them:
with OpenTelemetry's own SDK."""

import asyncio
import logging
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from scalix.edge.span_attributes import LATEST_NAMES
from scalix.edge.traces import MOST_REFUSALS_PER_S, Traces
from scalix.launch.settings.traces import problem_of, trace_notes, traces_wanted
from scalix.service.tracing.request_traces import RequestTrace
from scalix.wiring.otel import DROPPED, SENT, SpanSending
from scalix.wiring.traces import build_sending, build_traces
from tests.edge.gates import InProcess, in_process

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


class Kept:
    """Spans that were sent, and how many were and were not."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, exporter: SpanExporter | None = None, **variables: str) -> None:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        self.counts: Counter[str] = Counter()
        self.memory = InMemorySpanExporter()
        self.sending = SpanSending(variables, self._count, exporter or self.memory)
        self.second = 0.0

    def traces(self, **variables: str) -> Traces:
        traces = build_traces(self.sending, variables, "key")
        traces._clock = lambda: self.second
        return traces

    def spans(self) -> Sequence[ReadableSpan]:
        self.sending._processor.force_flush()
        return self.memory.get_finished_spans()

    def _count(self, name: str, amount: float) -> None:
        self.counts[name] += int(amount)


@pytest.fixture
async def recorded(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[InProcess, Kept]]:
    kept = Kept(monkeypatch)
    guard = {"anonymous": {"enabled": True, "tier": "free"}}
    async with in_process(tmp_path, store_url, guard=guard, traces=kept.traces()) as gateway:
        yield gateway, kept
    await kept.sending.close()


async def _key(gateway: InProcess) -> str:
    made = await gateway.call(path="/key/generate", body={"user_id": "someone"})
    return str(made.json["key"])


def _parent(flags: str) -> list[tuple[bytes, bytes]]:
    return [(b"traceparent", f"00-{TRACE}-{SPAN}-{flags}".encode())]


async def test_whoever_has_a_key_goes_on_with_a_trace_and_who_has_none_begins_one(
    recorded: tuple[InProcess, Kept],
) -> None:
    gateway, kept = recorded
    key = await _key(gateway)
    body = {"model": "free-small", "messages": [{"role": "user", "content": "hi"}]}
    for credential in ("sk-" + gateway.core.policy.current.default_tier, None, key):
        await gateway.call(body=body, key=credential, headers=_parent("01"))
    stranger, anonymous, user = (span for span in kept.spans() if span.name.endswith("/chat/completions"))
    statuses = [span.attributes["http.response.status_code"] for span in (stranger, anonymous, user)]  # type: ignore[index]
    assert statuses == [401, 200, 200]
    assert [f"{span.context.trace_id:032x}" == TRACE for span in (stranger, anonymous, user)] == [False, False, True]
    assert user.parent is not None
    assert f"{user.parent.span_id:016x}" == SPAN
    assert (stranger.parent, anonymous.parent) == (None, None)


@pytest.mark.parametrize(
    ("sampler", "by_key", "by_master"),
    [
        ({}, [True, True], [False, True]),  # OpenTelemetry's default: all, unless who asks says otherwise
        ({"OTEL_TRACES_SAMPLER": "parentbased_always_off"}, [False, False], [False, True]),
        ({"OTEL_TRACES_SAMPLER": "always_on"}, [True, True], [True, True]),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, [False, False], [False, False]),
    ],
)
async def test_whether_a_request_is_recorded_may_say_who_has_the_master_key(
    sampler: dict[str, str],
    by_key: list[bool],
    by_master: list[bool],
    tmp_path: Path,
    store_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Kept(monkeypatch, None, **sampler)
    async with in_process(tmp_path, store_url, traces=kept.traces()) as gateway:
        key = await _key(gateway)
        body = {"model": "free-small", "messages": [{"role": "user", "content": "hi"}]}
        found = []
        for credential in (key, None):
            for flags in ("00", "01"):
                before = len(kept.spans())
                options: dict[str, Any] = {"key": credential} if credential else {}
                assert (await gateway.call(body=body, headers=_parent(flags), **options)).status == 200
                found.append(len(kept.spans()) > before)
    assert [found[:2], found[2:]] == [by_key, by_master]
    await kept.sending.close()


async def test_nobody_gets_a_sampler_by_ratio_to_take_all_by_the_id_of_a_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(monkeypatch, OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG="0.5")
    from scalix.domain.traceparent import Place

    chosen = Place(1 << 64, 1, True)  # its last 64 bits are 0: below every bound
    taken = [RequestTrace(chosen, kept.sending.is_sampled).join(goes_on=True) for _ in range(400)]
    assert 100 < sum(place.sampled for place in taken) < 300
    assert {place.trace_id for place in taken} == {1 << 64}
    trusted = [RequestTrace(chosen, kept.sending.is_sampled).join(goes_on=True, is_trusted=True) for _ in range(50)]
    assert all(place.sampled for place in trusted)
    await kept.sending.close()


async def test_two_parents_are_none(recorded: tuple[InProcess, Kept]) -> None:
    gateway, kept = recorded
    await gateway.chat(headers=_parent("01") * 2)
    (span,) = kept.spans()
    assert span.parent is None


async def test_a_request_that_the_server_has_asked_about_before_is_begun_once(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(monkeypatch)
    traces, scope = kept.traces(), {"method": "POST", "path": "/v1/chat/completions", "headers": _parent("01")}
    traces.begin(scope)
    begun = dict(scope)
    traces.begin(scope)
    assert all(scope[name] is value for name, value in begun.items())
    await kept.sending.close()


@pytest.mark.parametrize(("proxies", "scheme"), [(["203.0.113.7"], "https"), ([], "http")])
async def test_the_scheme_is_the_one_that_the_client_speaks_with_a_proxy_that_is_trusted(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, proxies: list[str], scheme: str
) -> None:
    kept = Kept(monkeypatch)
    async with in_process(tmp_path, store_url, guard={"trusted_proxies": proxies}, traces=kept.traces()) as gateway:
        await gateway.chat(headers=[(b"x-forwarded-proto", b"https"), (b"x-forwarded-for", b"198.51.100.4")])
    (span,) = kept.spans()
    assert span.attributes is not None
    assert span.attributes["url.scheme"] == scheme
    await kept.sending.close()


async def test_a_flood_of_refusals_is_no_flood_of_spans(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Kept(monkeypatch)
    traces = kept.traces()

    def refuse() -> None:
        scope: dict[str, Any] = {"method": "POST", "path": "/v1/chat/completions", "headers": []}
        traces.begin(scope)
        traces.ended(scope, "id", 401, "invalid_api_key")

    for _ in range(MOST_REFUSALS_PER_S + 20):
        refuse()
    assert len(kept.spans()) == MOST_REFUSALS_PER_S
    assert kept.counts[DROPPED] == 20
    kept.second += 1
    refuse()
    assert len(kept.spans()) == MOST_REFUSALS_PER_S + 1
    await kept.sending.close()


async def test_probes_and_scrapes_have_no_spans_and_other_routes_have_them_without_a_query(
    recorded: tuple[InProcess, Kept],
) -> None:
    gateway, kept = recorded
    for path in ("/health/liveliness", "/health/readiness", "/metrics"):
        await gateway.call("GET", path)
    assert not kept.spans()
    await gateway.call("GET", "/user/info", query=b"user_id=canary")
    await gateway.call("CANARY", "/sk-canary-in-a-path")
    info, unknown = kept.spans()
    assert (info.name, unknown.name) == ("GET /user/info", "_OTHER")
    assert "canary" not in info.to_json() + unknown.to_json()


async def test_where_there_are_no_traces_nothing_is_made(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[object] = []
    monkeypatch.setattr(RequestTrace, "__post_init__", made.append, raising=False)
    async with in_process(tmp_path, store_url) as gateway:
        assert (await gateway.chat(headers=_parent("01"))).status == 200
        (inner,) = gateway.inner.scopes
        assert not [name for name, _ in inner["headers"] if name.startswith(b"trace")]
        assert inner["scalix"].attempt.own_headers == ()
        assert inner["scalix"].attempt.hear is None
    assert not made


def test_the_sdk_of_traces_is_not_loaded_where_nobody_asks_for_traces() -> None:
    code = (
        "import sys; from scalix.wiring.traces import build_sending;"
        "import scalix.edge.gate, scalix.wiring.gate; assert build_sending({}, print) is None;"
        "print([name for name in ('opentelemetry.sdk.trace', 'scalix.wiring.otel') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_a_provider_that_is_named_otherwise_in_the_newest_conventions_is_so_by_opt_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    kept = Kept(monkeypatch)
    latest = kept.traces(OTEL_SEMCONV_STABILITY_OPT_IN="http, gen_ai_latest_experimental")
    assert latest._names is LATEST_NAMES
    assert (latest._names.attribute, latest._names.providers["azure"]) == ("gen_ai.provider.name", "azure.ai.openai")
    default = kept.traces(OTEL_SEMCONV_STABILITY_OPT_IN="http")._names
    assert (default.attribute, default.providers["azure"]) == ("gen_ai.system", "az.ai.openai")
    await kept.sending.close()


class Away(SpanExporter):
    """A collector that does not answer, until it is `there`."""

    def __init__(self) -> None:
        self.there = threading.Event()
        self.refuses = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if self.refuses:
            return SpanExportResult.FAILURE
        self.there.wait(30)
        return SpanExportResult.SUCCESS


async def test_while_the_collector_is_away_nobody_waits_and_what_does_not_fit_is_dropped(
    tmp_path: Path, store_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    away = Away()
    bounds = {"OTEL_BSP_MAX_QUEUE_SIZE": "8", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "2", "OTEL_BSP_SCHEDULE_DELAY": "1"}
    kept = Kept(monkeypatch, away, **bounds)
    async with in_process(tmp_path, store_url, traces=kept.traces()) as gateway:
        for _ in range(20):
            async with asyncio.timeout(5):
                assert (await gateway.chat()).status == 200
    assert kept.counts[DROPPED] >= 20 - 8 - 2
    began_s = time.monotonic()
    await kept.sending.close()
    assert time.monotonic() - began_s < 4
    assert "the last spans could not be sent" in caplog.text
    away.there.set()


async def test_a_collector_that_refuses_is_one_line_and_one_more_when_it_takes_them(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    away = Away()
    away.refuses = True
    kept = Kept(monkeypatch, away)
    exporter = kept.sending._processor.span_exporter
    for _ in range(5):
        exporter.export([None, None])
    away.refuses = False
    away.there.set()
    exporter.export([None])
    assert [record.message.partition(" ")[0] for record in caplog.records if record.name == "scalix.traces"] == [
        "spans"
    ] * 2
    assert (kept.counts[DROPPED], kept.counts[SENT]) == (10, 1)
    await kept.sending.close()


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://c"}, True),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": " "}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "TRUE"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_SERVICE_NAME": "x"}, False),
    ],
)
def test_an_endpoint_switches_traces_on_and_two_variables_off(variables: dict[str, str], wanted: bool) -> None:
    assert traces_wanted(variables) is wanted


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin'"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "http/json"}, "the OTLP protocol 'http/json' is not known here; write http/"),
        ({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "pip install opentelemetry-exporter-otlp-proto-grpc"),
    ],
)
def test_what_can_not_be_sent_is_said_at_the_start_and_the_gateway_serves_without(
    variables: dict[str, str], words: str
) -> None:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", **variables}
    (note,) = trace_notes(variables, ())
    assert words in note
    assert build_sending(variables, lambda name, amount: None) is None


def test_the_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalix.launch.settings.traces._is_installed", lambda module: False)
    problem = problem_of({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"})
    assert problem is not None
    assert problem[1] == 'run: pip install "scalix-gateway[traces]"'


def test_litellms_own_spans_beside_ours_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("scalix.launch.settings.traces._is_installed", lambda module: True)
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"}
    (note,) = trace_notes(variables, ("callbacks", "otel"))
    assert "sent twice" in note
    assert not list(trace_notes(variables, ("callbacks", "langfuse")))
    assert not list(trace_notes({}, ("callbacks", "otel")))
