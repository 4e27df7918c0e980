"""One request on its way through the gateway, and what is reported of it."""

from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from scalix.domain.failures import ErrorClass
from scalix.domain.limits.limits import Limits
from scalix.domain.limits.quota import Admitted, Prices
from scalix.domain.policy import Model
from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.routes import Route
from scalix.service.exchange.attempts import Attempt, Lifted
from scalix.service.identity.callers import Caller

MOST_ANSWER_BYTES = 32 * 1024 * 1024
"""The most that is read of one answer which is not streamed: four images of 6 MiB in base64."""
MOST_BYTES_OF_A_VECTOR = 128 * 1024
"""The most of what is read beside that for each text that is embedded: 4,096 figures of up to 24 digits."""


@dataclass(slots=True)
class Exchange:
    """Everything about one admitted request until it is settled."""

    request_id: str
    caller: Caller
    route: Route
    model: str
    streamed: bool
    limits: Limits
    admitted: Admitted
    prices: Prices
    choices: int = 1
    among_others: bool = False  # whether sums name its model `other`
    asked_cap_tokens: int | None = None  # for each choice, by the client
    local: bool = False  # admitted by this process while the store was away
    options: Mapping[str, bool] = field(default_factory=dict)  # `scalix_options`, for models that have the features
    models: Mapping[str, Model] = field(default_factory=dict)  # as they were, and cost, when it was admitted
    serving: frozenset[str] | None = None  # the models whose price was reserved, and no others may serve; `None`: any
    mocked: bool = False  # a rehearsal, which no provider hears of
    rehearse: Callable[[Any], Any] | None = None  # then, what answers an HTTP request in the provider's place
    names_objects: bool = False  # whether the request speaks of what a provider keeps
    holds_ids: bool = False  # whether it has ids of that kind, if only of what is all there beside them
    most_answer_bytes: int = MOST_ANSWER_BYTES
    by_chat: tuple[str, str] | None = None  # a deployment that is asked by chat completions, and not by responses
    attempt: Attempt = field(default_factory=Attempt)  # the one of now
    # known by the edge
    written: bytes = b""  # what LiteLLM is asked: all that a provider can quote of what the client wrote
    odd_field: Callable[[], str | None] = lambda: None  # where the client's request goes beyond plain text
    wrong_field: Callable[[], tuple[str, str] | None] = lambda: (
        None
    )  # one that is not as its API has it, and what it is
    named_field: Callable[[str], str | None] = lambda message: None  # the field of it that a message is about
    dropped: Dropped = field(default_factory=Dropped)  # of the client's request, for this model
    began_s: float = 0.0  # by the monotonic clock
    first_token_s: float | None = None
    tried: list[str] = field(default_factory=list)  # models that failed before the one that serves now
    error_class: ErrorClass | None = None
    client_left: bool = False
    hung_up: bool = False  # whether its provider was left because of that
    settled: bool = False

    def begin_next(self) -> None:
        """Another model is about to be tried. What comes late of this one stays with it, where nobody looks."""
        lifted = None if self.attempt.lifted is None else Lifted()
        self.attempt = Attempt(self.attempt.number + 1, lifted=lifted)


CURRENT: ContextVar[Exchange | None] = ContextVar("scalix_exchange", default=None)
"""The exchange that the running task serves, for what is called through LiteLLM without a request of its own."""


class Exchanges:
    """The requests of this process that are in flight, by id. Callbacks find theirs here."""

    def __init__(self) -> None:
        self._by_id: dict[str, Exchange] = {}

    def add(self, exchange: Exchange) -> None:
        """Make an exchange findable until it is removed."""
        self._by_id[exchange.request_id] = exchange

    def get(self, request_id: Any) -> Exchange | None:
        """The exchange with this id, if it is still known."""
        return self._by_id.get(request_id)

    def remove(self, exchange: Exchange) -> None:
        """Forget an exchange."""
        self._by_id.pop(exchange.request_id, None)

    def all(self) -> list[Exchange]:
        """Every exchange in flight."""
        return list(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)
