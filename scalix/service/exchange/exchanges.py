"""One request on its way through the gateway, and what is reported of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from scalix.domain.answers.text_chunks import TextChoices
from scalix.domain.failures import ErrorClass
from scalix.domain.limits.limits import Limits
from scalix.domain.limits.quota import Admitted, Prices
from scalix.domain.policy import Model
from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.usage import Usage
from scalix.service.identity.callers import Caller


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed attempt at a provider. `message` may hold secrets: it is never sent on as it is. `by_content`: it came
    of what was to be translated, and not of a setting or of the machine; `place` is where, in the code."""

    status: int | None
    kind: str
    message: str
    retry_after_s: int | None = None
    error_class: ErrorClass = ErrorClass.INTERNAL
    by_content: bool = False
    place: str = ""


@dataclass(frozen=True, slots=True)
class ProviderError:
    """An HTTP error as the provider sent it. `message` may hold secrets; `kind` are its codes and types, as words.
    What is wrong with the connection has a status of the 500s, and the exception's name for its kind."""

    status: int
    message: str
    retry_after_s: int | None = None
    kind: str = ""


MOST_ANSWER_BYTES = 32 * 1024 * 1024
"""The most that is read of one answer which is not streamed: four images of 6 MiB in base64."""
MOST_BYTES_OF_A_VECTOR = 128 * 1024
"""The most of what is read beside that for each text that is embedded: 4,096 figures of up to 24 digits."""

NO_CONNECTION = "ConnectError"
"""The kind of a `ProviderError` where not even a connection could be made."""


FIRST_VECTOR = 2**52
"""The number that stands for the first vector of an answer, where LiteLLM has it: no figure of a vector's."""


@dataclass(slots=True)
class Lifted:
    """What was taken out of a provider's answer, as JSON, and is to be put back into LiteLLM's. `logprobs` are by the
    path of what holds them: a choice, or an item and a part of it."""

    vectors: list[bytes] = field(default_factory=list)
    logprobs: list[tuple[tuple[str, int, int | None], bytes]] = field(default_factory=list)

    def place(self, vector: bytes) -> bytes:
        """Keep `vector`. What stands for it, between its brackets."""
        self.vectors.append(vector)
        return b"%d" % (FIRST_VECTOR + len(self.vectors) - 1)


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
    asked_model: str = ""  # the one that LiteLLM is asked for in this attempt
    attempt: int = 1  # which model of those that may serve is being tried; reports on an earlier one are not taken
    # reported by LiteLLM's callbacks, of this attempt
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    served_model: str | None = None
    cache_hit: bool = False
    failures: list[Failure] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)
    # seen in the provider's own answer; None where its format is not one that is read
    usage_is_providers: bool | None = None
    provider_usage: Usage | None = None  # the last one stated that can be true; LiteLLM's event may come too late
    provider_prompt_tokens: int | None = None
    provider_error: ProviderError | None = None  # the last one
    deployment: tuple[str, str] | None = None  # the address and the model that are asked by the Responses API
    asks_anew: bool = False  # its server has no such API, and is to be asked in another way
    by_chat: tuple[str, str] | None = None  # one that is asked by chat completions instead
    asked: bool = False  # whether a request to the provider was on its way out
    unfetched: str | None = None  # a URL of the client's that LiteLLM would have fetched with everybody waiting
    unseen: bool = False  # whether one may have been by other ways than those that are watched
    finish_seen: bool = False  # whether a stream has said that its answer is over; its usage may be still to come
    finishes: dict[int, str] = field(default_factory=dict)  # of several choices, how each has ended
    text_choices: TextChoices = field(default_factory=TextChoices)  # of a stream of completions that are no chat
    refused: bool = False  # whether what the model says, in OpenAI's format, is that it refuses
    usage_is_final: bool = False  # whether what the provider has stated is of the whole answer
    on_usage: Callable[[], None] = lambda: None  # told when it is, or when none will come
    answered_whole: bool = False  # whether the provider has answered, and nothing was missing
    answer_is_too_large: bool = False  # whether it has answered with more than is read
    sent: bytes = b""  # what it was asked, where an answer to that was whole
    lifted: Lifted | None = None  # `None`: nobody puts back what is taken out of an answer
    hang_up: Callable[[], Awaitable[None]] | None = None  # ends the provider's stream
    on_sign_of_life: Callable[[], None] = lambda: None  # told when a provider says that it is still at work
    on_open: Callable[[], None] = lambda: None  # told when the provider has begun a stream
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
    prompt_tokens: int | None = None  # counted, where the provider's figure is missing; better than the estimate
    client_left: bool = False
    hung_up: bool = False  # whether its provider was left because of that
    settled: bool = False

    def begin_next(self) -> None:
        """Forget what is known of a failed attempt: another model is about to be tried."""
        self.attempt += 1
        for name, fresh in _OF_AN_ATTEMPT.items():
            setattr(self, name, fresh)
        self.failures, self.finishes, self.text_choices = [], {}, TextChoices()
        self.lifted = None if self.lifted is None else Lifted()
        self.reported = asyncio.Event()  # of the old one nobody may hear any more


_OF_AN_ATTEMPT: Mapping[str, Any] = {
    **dict.fromkeys(("usage", "cost_nano_usd", "served_model", "usage_is_providers", "provider_usage")),
    **dict.fromkeys(
        ("deployment", "provider_prompt_tokens", "provider_error", "hang_up", "prompt_tokens", "unfetched")
    ),
    **dict.fromkeys(
        (
            "cache_hit",
            "asked",
            "unseen",
            "answered_whole",
            "answer_is_too_large",
            "asks_anew",
            "finish_seen",
            "refused",
            "usage_is_final",
        ),
        False,
    ),
    "sent": b"",
}

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
