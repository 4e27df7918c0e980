"""What is noted of one request while it runs, of which its spans are made when it has ended."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from secrets import randbits
from typing import TYPE_CHECKING, Any

from scalix.domain.answers.said_of_itself import Said, note_said
from scalix.domain.traceparent import Place

if TYPE_CHECKING:
    from scalix.service.exchange.attempts import Attempt

TRACE = "scalix_trace"
"""Where the scope of a request has its `RequestTrace`, if there are traces."""
# The sampler's word: whether a span is recorded, by the place that it goes on from and the id of its trace.
Decide = Callable[[Place | None, int], bool]


@dataclass(slots=True)
class Tried:
    """One attempt at a provider. `began_s` is of the monotonic clock, `*_ns` are Unix time; `error` is its class."""

    attempt: "Attempt"
    place: Place
    began_ns: int
    began_s: float
    ended_ns: int = 0
    error: str = ""
    said: Said = field(default_factory=Said)


@dataclass(slots=True)
class RequestTrace:
    """One request's place in a trace, and the attempts at providers, in their order.

    asked: what the client's headers say, as nobody has believed it yet.
    place: of the request's own span; `None` until it is known who asks.
    parent_id: the span that it goes on from.
    """

    asked: Place | None
    decide: Decide
    began_ns: int = field(default_factory=time.time_ns)
    place: Place | None = None
    parent_id: int = 0
    tried: list[Tried] = field(default_factory=list)

    def join(self, *, goes_on: bool = False, is_trusted: bool = False) -> Place:
        """Settle where the request stands; a second call changes nothing.

        goes_on: it goes on with the client's trace; without that it begins one.
        is_trusted: the client may also say whether it is recorded. Of all others the sampler decides as of a trace that
        begins here, by an id that nobody but us has chosen: else a stranger could have all recorded, or nothing.
        """
        if self.place is None:
            own_id, parent = randbits(128) or 1, self.asked if goes_on else None
            sampled = self.decide(parent if is_trusted else None, parent.trace_id if parent and is_trusted else own_id)
            trace_id, state = (parent.trace_id, parent.state) if parent else (own_id, "")
            self.parent_id = parent.span_id if parent else 0
            self.place = Place(trace_id, _span_id(), sampled, state)
        return self.place

    @property
    def shown_id(self) -> str:
        """The id of the trace, as logs have it; empty where nothing is recorded."""
        return f"{self.place.trace_id:032x}" if self.place is not None and self.place.sampled else ""

    def begin(self, attempt: "Attempt") -> None:
        """A provider is about to be asked: it is told of the trace, and heard in what it says of itself."""
        here = self.join()
        place = Place(here.trace_id, _span_id() if here.sampled else here.span_id, here.sampled, here.state)
        attempt.own_headers += place.headers
        if here.sampled:
            self.tried.append(tried := Tried(attempt, place, time.time_ns(), time.monotonic()))

            def hear(answer: Mapping[str, Any]) -> None:
                note_said(tried.said, answer)

            attempt.hear = hear

    def end(self, error: str = "") -> None:
        """The attempt that has begun last is over. `error` is what it has failed of."""
        if self.tried and not self.tried[-1].ended_ns:
            self.tried[-1].ended_ns, self.tried[-1].error = time.time_ns(), error


def _span_id() -> int:
    return randbits(64) or 1
