"""What goes to providers and what comes from them, whatever sends it: LiteLLM's clients or the direct engine's."""

from collections.abc import AsyncIterator
from typing import Any, Protocol

import httpx

from scalix.domain.requests.request_ids import told
from scalix.service.exchange.exchanges import Exchange

# By this a provider is told our id of a request. OpenAI has it; others pass it over. Not `x-request-id`, which some
# servers take for their own: they refuse one that comes twice, as that of a retry does.
_ID_HEADER = "x-client-request-id"


class Sent(Protocol):
    """A request that goes out."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> httpx.URL: ...
    @property
    def headers(self) -> httpx.Headers: ...
    @property
    def content(self) -> bytes: ...


class Body(Protocol):
    """What an answer says, as it comes."""

    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class Came(Protocol):
    """An answer as it comes. `stream` is its body, a `Body`; `headers` find their names in any case."""

    stream: Any
    headers: Any

    @property
    def status_code(self) -> int: ...
    @property
    def has_redirect_location(self) -> bool: ...
    async def aread(self) -> bytes: ...
    async def aclose(self) -> None: ...


def own_headers(exchange: Exchange) -> tuple[tuple[str, str], ...]:
    """What the provider of an exchange is sent beside what all requests of its kind have."""
    return (*exchange.attempt.own_headers, (_ID_HEADER, told(exchange.admission.request_id)))
