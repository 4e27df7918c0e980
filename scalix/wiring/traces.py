"""Makes the traces of a process, where the operator's variables ask for them. Without that no SDK is loaded."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from scalix.launch.settings.traces import problem_of, traces_wanted

if TYPE_CHECKING:
    from scalix.edge.traces import Traces
    from scalix.wiring.otel import SpanSending

_OPT_IN, _LATEST = "OTEL_SEMCONV_STABILITY_OPT_IN", "gen_ai_latest_experimental"


def build_sending(environ: Mapping[str, str], count: Callable[[str, float], None]) -> "SpanSending | None":
    """What sends spans, and has `count` count them; `None` where nobody wants any, or they can't be sent: the
    launcher has said why."""
    if not traces_wanted(environ) or problem_of(environ) is not None:
        return None
    from scalix.wiring.otel import SpanSending

    return SpanSending(environ, count)


def build_traces(sending: "SpanSending", environ: Mapping[str, str], log_key: str) -> "Traces":
    """The traces of this process. `log_key` keys the users' pseudonyms."""
    from scalix.edge.access_log import pseudonyms
    from scalix.edge.span_attributes import DEFAULT_NAMES, LATEST_NAMES
    from scalix.edge.traces import Traces

    opted = {word.strip() for word in environ.get(_OPT_IN, "").split(",")}
    return Traces(sending, LATEST_NAMES if _LATEST in opted else DEFAULT_NAMES, pseudonyms(log_key))
