"""One attempt at a model, and what is known of it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scalix.domain.answers.plain_deltas import Run
from scalix.domain.answers.text_chunks import TextChoices
from scalix.domain.failures import ErrorClass, class_of_status
from scalix.domain.tokens.usage import Usage


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

    @property
    def is_of_the_connection(self) -> bool:
        return self.kind in _OF_THE_CONNECTION

    @property
    def error_class(self) -> ErrorClass:
        return _OF_THE_CONNECTION.get(self.kind) or class_of_status(self.status, self.kind, self.message)


NO_CONNECTION, BROKE_OFF, TOO_SLOW = "ConnectError", "TransportError", "TimeoutException"
NO_MEANS = "OutOfFiles"
"""The kinds of a `ProviderError` of the connection. Behind `BROKE_OFF` and `TOO_SLOW` a provider may have been at work;
`NO_MEANS` is this machine's: it had no file descriptor, port or memory left for a connection."""
_OF_THE_CONNECTION = {
    NO_CONNECTION: ErrorClass.NETWORK,
    NO_MEANS: ErrorClass.INTERNAL,
    BROKE_OFF: ErrorClass.NETWORK,
    TOO_SLOW: ErrorClass.TIMEOUT,
}


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
class Seen:
    """What a provider has answered, or why it has not, as seen below LiteLLM. A retry of LiteLLM's has a new one."""

    states_usage: bool | None = None  # whether the answer has a usage that can be true; `None`: of a format not read
    usage: Usage | None = None  # the last one stated that can be true; LiteLLM's event may come too late
    prompt_tokens: int | None = None  # stated, maybe before the usage is
    error: ProviderError | None = None  # the last one
    answered_whole: bool = False  # whether the provider has answered, and nothing was missing
    sent: bytes = b""  # what it was asked, where an answer to that was whole


@dataclass(slots=True)
class Attempt:
    """What has become of the request at one model, LiteLLM's retries included.

    Each model that is tried has a new one. Whoever reports on a call keeps the attempt that it belongs to, so what
    comes late of a model that was given up is not taken for the next one's.
    """

    number: int = 1
    model: str = ""  # the one that LiteLLM is asked for; "" where that is not for us to choose
    deployment_id: str = ""  # which of its deployments, if it has several; "" where that is for LiteLLM to choose
    # reported by LiteLLM's callbacks
    usage: Usage | None = None
    cost_nano_usd: int | None = None
    served_model: str | None = None
    cache_hit: bool = False
    failures: list[Failure] = field(default_factory=list)
    reported: asyncio.Event = field(default_factory=asyncio.Event)
    # seen on the way to the provider and back
    seen: Seen = field(default_factory=Seen)
    body: Mapping[str, Any] = field(default_factory=dict)  # what an engine is asked; what is in it is not changed
    written: bytes = b""  # the same, as JSON: all that a provider can quote of what the client wrote
    asked: bool = False  # whether a request to the provider was on its way out
    directly: bool = False  # whether our engine asks, which passes a stream on as it comes, and not LiteLLM
    unseen: bool = False  # whether one may have been by other ways than those that are watched
    deployment: tuple[str, str] | None = None  # the address and the model that are asked by the Responses API
    kept_id: Callable[[str], str] = str  # makes of a provider's id of an answer the one by which it is found again
    asks_anew: bool = False  # its server has no such API, and is to be asked in another way
    unfetched: str | None = None  # a URL of the client's that LiteLLM would have fetched with everybody waiting
    finish_seen: bool = False  # whether a stream has said that its answer is over; its usage may be still to come
    finishes: dict[int, str] = field(default_factory=dict)  # of several choices, how each has ended
    text_choices: TextChoices = field(default_factory=TextChoices)  # of a stream of completions that are no chat
    refused: bool = False  # whether what the model says, in OpenAI's format, is that it refuses
    usage_is_final: bool = False  # whether what the provider has stated is of the whole answer
    answer_is_too_large: bool = False  # whether it has answered with more than is read
    lifted: Lifted | None = None  # `None`: nobody puts back what is taken out of an answer
    hang_up: Callable[[], Awaitable[None]] | None = None  # ends the provider's stream
    own_headers: tuple[tuple[str, str], ...] = ()  # what its provider is sent beside what all of its kind are sent
    hear: Callable[[Mapping[str, Any]], None] | None = None  # told what the answer says of itself, if anybody asks
    take_run: Callable[[Run], bool] = lambda run: False  # the engine's: takes deltas for the client, where it can now
    pass_run: Callable[[Run], bool] = lambda run: False  # the edge's: sends them, as the engine has made them
    on_usage: Callable[[], None] = lambda: None  # told when the usage is final, or when none will come
    on_sign_of_life: Callable[[], None] = lambda: None  # told when a provider says that it is still at work
    on_open: Callable[[], None] = lambda: None  # told when the provider has begun a stream

    @property
    def engine(self) -> str:
        """What has asked the provider; empty if nobody has."""
        if self.directly:
            return "direct"
        return "litellm" if self.asked or self.unseen else ""

    @property
    def failure(self) -> Failure | None:
        """The last one that LiteLLM has reported."""
        return self.failures[-1] if self.failures else None
