"""Keeps what is sent to a provider with that provider: a redirect to elsewhere is the provider's failure.

LiteLLM's clients follow redirects, and take only `Authorization` off a request on its way to another host: Anthropic's
`x-api-key`, Gemini's `x-goog-api-key` and the prompt would go along. Redirects within the host are followed, and from
HTTP to HTTPS.
"""

import logging
from typing import Final, TypeVar

import httpx

from scalix.litellm_adapter.wire import Came, Sent

C = TypeVar("C", bound=Came)

log = logging.getLogger("scalix.provider")

_KEYS: Final = ("authorization", "x-api-key", "api-key", "x-goog-api-key")
_LONGEST_LOCATION: Final = 2_048
_BAD_GATEWAY: Final = 502
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_ELSEWHERE: Final = {"error": {"message": "The provider redirected to another host", "type": "bad_gateway"}}


def leads_away(request: Sent, response: Came) -> bool:
    """Whether a prompt or a key would go to another host, port or protocol. What is fetched without either may."""
    if not response.has_redirect_location:
        return False
    if (
        request.method == "GET"
        and not any(name in request.headers for name in _KEYS)
        and "key" not in request.url.params
    ):
        return False
    location = response.headers["location"]
    # Measured before it is read: the encoding of host names takes quadratic time.
    if len(location) > _LONGEST_LOCATION or not location.isascii():
        return True
    try:
        target = request.url.join(location)
    except (httpx.InvalidURL, ValueError):
        return True
    here, there = _origin(request.url), _origin(target)
    is_upgrade = (here[0], here[2], there[0], there[2]) == ("http", 80, "https", 443)
    return here != there and not (is_upgrade and here[1] == there[1])


async def kept_here(request: Sent, response: C) -> C | httpx.Response:
    """An answer, or where it is a redirect that leads away, an error in its place."""
    if not leads_away(request, response):
        return response
    await response.aclose()
    return elsewhere(request)


def _origin(url: httpx.URL) -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port or {"http": 80, "https": 443}.get(url.scheme)


def elsewhere(request: Sent) -> httpx.Response:
    """The answer in place of a redirect that leads away."""
    log.warning("%s redirects to another host, which is not followed", request.url.host)
    return httpx.Response(_BAD_GATEWAY, json=_ELSEWHERE)
