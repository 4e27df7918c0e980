"""A request of a client's, as the client wrote it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from scalix.domain.requests import odd_fields, wrong_fields
from scalix.domain.requests.routes import Route
from scalix.service.exchange.object_ids import NOTHING, NamedObjects

MOST_ANSWER_BYTES = 32 * 1024 * 1024
"""The most that is read of one answer which is not streamed: four images of 6 MiB in base64."""
MOST_BYTES_OF_A_VECTOR = 128 * 1024
"""The most of what is read beside that for each text that is embedded: 4,096 figures of up to 24 digits."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request as the edge read it, and what can be said of its fields afterwards.

    request_id: ours, unique.
    body: changed in place while it is admitted: the output cap is written into it.
    named: what it names that a provider keeps.
    rehearse: answers an HTTP request in the provider's place, where the call is one of a worker that warms up.
    streamed: whether the client asked for a stream.
    """

    request_id: str
    route: Route
    body: dict[str, Any]
    named: NamedObjects = NOTHING
    rehearse: Callable[[Any], Any] | None = None
    streamed: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "streamed", self.body.get("stream") is True)

    @property
    def most_answer_bytes(self) -> int:
        """The most that is read of an answer that is not streamed."""
        texts = self.body.get("input") if self.route is Route.EMBEDDINGS else None
        return MOST_ANSWER_BYTES + MOST_BYTES_OF_A_VECTOR * (len(texts) if isinstance(texts, list) else 0)

    def odd_field(self) -> str | None:
        """The first field that goes beyond plain text, which LiteLLM may be unable to translate."""
        return odd_fields.odd_field(self.body)

    def named_field(self, message: str) -> str | None:
        """The field that an error message of LiteLLM's is about."""
        return odd_fields.named_field(self.body, message)

    def wrong_field(self, unfetched: str | None) -> tuple[str, str] | None:
        """A field that is not as its API has it, and what it must be. `unfetched`: a URL that was not fetched."""
        return wrong_fields.wrong_field(self.route, self.body, unfetched)
