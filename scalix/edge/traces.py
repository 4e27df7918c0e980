"""Makes the spans of a request when it has ended: one of the request, and one of each attempt at a provider."""

import logging
import time
from collections.abc import Callable
from typing import Protocol

from scalix.domain.faults import shown_fault
from scalix.domain.traceparent import Place, place_of
from scalix.edge.access_log import ASKED, Asked
from scalix.edge.asgi import Scope
from scalix.edge.span_attributes import GenAiNames, Span, attempt_span, request_span
from scalix.service.identity.callers import Caller
from scalix.service.tracing.request_traces import TRACE, RequestTrace

log = logging.getLogger("scalix.traces")

MOST_REFUSALS_PER_S = 100
"""A flood of refusals must not become a flood of spans; what is more has none."""
# Asked every few seconds by whatever looks whether the gateway is there.
_UNTRACED = ("/health", "/metrics")


class Recorder(Protocol):
    """What keeps spans, and sends them."""

    def is_sampled(self, parent: Place | None, trace_id: int) -> bool:
        """Whether a request that goes on from `parent` is recorded."""

    def record(self, span: Span) -> None:
        """Take a span that has ended. It neither waits nor raises."""

    def left_out(self) -> None:
        """Note a span that was not made, since there are too many."""


class Traces:
    """The traces of one process. `pseudonym` is a user's name in the log; `clock` gives seconds, monotonic."""

    def __init__(
        self,
        recorder: Recorder,
        names: GenAiNames,
        pseudonym: Callable[[str], str],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._recorder = recorder
        self._names = names
        self._pseudonym = pseudonym
        self._clock = clock
        self._second, self._in_second = -1, 0

    def begin(self, scope: Scope) -> None:
        """A request has come. A second call, where the server has asked before, changes nothing."""
        if TRACE not in scope and not scope["path"].startswith(_UNTRACED):
            scope[TRACE] = RequestTrace(_asked(scope), self._recorder.is_sampled)

    def ended(self, scope: Scope, request_id: str, status: int, refused: str = "") -> None:
        """A request has ended; status 0: there was nobody to answer. `refused` is the code of the gateway's error."""
        trace: RequestTrace | None = scope.get(TRACE)
        if trace is None or not trace.join().sampled:
            return
        if status >= 400 and not trace.tried and self._is_flood():
            self._recorder.left_out()
            return
        try:
            trace.end()
            asked: Asked | None = scope.get(ASKED)
            exchange = asked.exchange if asked is not None else None
            for tried in trace.tried:
                if exchange is not None and tried.attempt.engine:  # somebody was asked
                    self._recorder.record(attempt_span(exchange, trace, tried, self._names))
            self._recorder.record(request_span(scope, trace, (request_id, status, refused), self._pseudonym))
        except Exception as fault:
            log.error("request %s has no spans: %s", request_id, shown_fault(fault))

    def _is_flood(self) -> bool:
        second = int(self._clock())
        if second != self._second:
            self._second, self._in_second = second, 0
        self._in_second += 1
        return self._in_second > MOST_REFUSALS_PER_S


def join(trace: RequestTrace, principal: Caller) -> None:
    """Settle where the request of an authenticated caller stands: whoever has a key goes on with the client's trace;
    whether it is recorded may say who has the master key."""
    trace.join(goes_on=principal.subject.kind != "address", is_trusted=principal.may_name_users)


def _asked(scope: Scope) -> Place | None:
    parents, states = [], []
    for name, value in scope["headers"]:
        if name == b"traceparent":
            parents.append(value)
        elif name == b"tracestate":
            states.append(value)
    if len(parents) != 1:
        return None
    return place_of(parents[0].decode("latin-1"), b",".join(states).decode("latin-1"))
