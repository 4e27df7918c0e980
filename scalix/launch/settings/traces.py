"""Whether requests are traced, by OpenTelemetry's own variables, and what stands in the way."""

from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
EXTRA = 'pip install "scalix-gateway[traces]"'
HTTP, GRPC = "http/protobuf", "grpc"
MODULES = {
    HTTP: ("opentelemetry.exporter.otlp.proto.http", EXTRA),
    GRPC: ("opentelemetry.exporter.otlp.proto.grpc", "pip install opentelemetry-exporter-otlp-proto-grpc"),
}
# LiteLLM's own callbacks that send a request's spans by the same variables.
_OF_LITELLM = frozenset({"otel", "opentelemetry"})


def is_of_traces(name: str) -> bool:
    """Whether OpenTelemetry's SDK reads a variable."""
    return name.startswith("OTEL_")


def traces_wanted(values: Mapping[str, str]) -> bool:
    """Whether the variables ask for traces."""
    if values.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporters = values.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    return exporters != "none" and any(values.get(name, "").strip() for name in _ENDPOINTS)


def protocol_of(values: Mapping[str, str]) -> str:
    """How spans are sent."""
    return next((word for name in _PROTOCOLS if (word := values.get(name, "").strip().lower())), HTTP)


def problem_of(values: Mapping[str, str]) -> tuple[str, str] | None:
    """Why no spans can be sent as the variables say, and what to do; `None` if they can."""
    exporter = values.get("OTEL_TRACES_EXPORTER", "").strip().lower() or "otlp"
    if exporter != "otlp":
        return f"OTEL_TRACES_EXPORTER is {exporter[:40]!r}, and only otlp and none are known here", "write otlp"
    protocol = protocol_of(values)
    if protocol not in MODULES:
        return f"the OTLP protocol {protocol[:40]!r} is not known here", f"write {HTTP} or {GRPC}"
    module, remedy = MODULES[protocol]
    if not _is_installed(module):
        return f"the package that sends spans by {protocol} is not installed", f"run: {remedy}"
    return None


def trace_notes(values: Mapping[str, str], of_litellm: Iterable[str]) -> Iterator[str]:
    """Lines for the operator. `of_litellm` are all texts of LiteLLM's settings."""
    if not traces_wanted(values):
        return
    if (problem := problem_of(values)) is not None:
        yield f"no traces are sent: {problem[0]}; {problem[1]}"
    elif not _OF_LITELLM.isdisjoint(of_litellm):
        what = "the config's callback otel has LiteLLM send spans of each request too, with prompts and answers in them"
        yield f"traces are sent twice: {what}; remove it: the gateway's own have no content"


def _is_installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of what stands before the dot
        return False
