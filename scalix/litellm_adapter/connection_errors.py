"""What came of a connection to a provider, told by the errors of aiohttp that are behind those of httpx."""

import errno
import os
from collections.abc import Awaitable, Callable

import aiohttp
import httpx

from scalix.litellm_adapter.wire import Came
from scalix.service.answers.provider_errors import BAD_GATEWAY, BROKEN
from scalix.service.exchange.attempts import NO_CONNECTION, NO_MEANS, TOO_SLOW, ProviderError

_GATEWAY_TIMEOUT = 504
_MOST_CLOSING = 3
# The last: a proxy has refused to connect.
_UNCONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
_MEANS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EADDRNOTAVAIL})
_MOST_LINKS = 8


async def by_an_open_connection(ask: Callable[[], Awaitable[Came]]) -> Came:
    """What `ask` brings. A kept connection that its server was closing could not take the request, so that nobody was
    asked: then by another one. What was written whole is not asked again here."""
    for _ in range(_MOST_CLOSING):
        try:
            return await ask()
        except httpx.TransportError as error:
            cause = error.__cause__
            if not isinstance(cause, aiohttp.ClientOSError) or not isinstance(
                cause.__cause__, aiohttp.ClientConnectionResetError
            ):
                raise
    return await ask()


def of_the_wire(error: Exception) -> Exception:
    """The same, or for what can't be read as HTTP the error that LiteLLM's transport lacks. httpx has no headers but of
    ASCII."""
    if not isinstance(error, UnicodeEncodeError) and not isinstance(error.__cause__, aiohttp.ClientResponseError):
        return error
    broken = httpx.RemoteProtocolError("no HTTP came back")
    broken.__cause__ = error.__cause__
    return broken


def broken_connection(error: httpx.TransportError) -> ProviderError:
    """What came of a call that had no answer, or half of one, as if it were one."""
    # LiteLLM's aiohttp transport has the same error for no connection and for one that broke, which a request may do.
    cause = error.__cause__
    if isinstance(cause, aiohttp.ClientError):
        is_connected = not isinstance(cause, _UNCONNECTED)
    else:
        is_connected = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError)
    if not is_connected:
        # A provider that nobody could ask has not failed, and is not to rest for it, in all gateways at once.
        return ProviderError(BAD_GATEWAY, "", kind=NO_MEANS if _is_for_lack_of_means(error) else NO_CONNECTION)
    return ProviderError(_GATEWAY_TIMEOUT, "", kind=TOO_SLOW) if isinstance(error, httpx.TimeoutException) else BROKEN


def _is_for_lack_of_means(error: BaseException) -> bool:
    """Whether this machine could not make a connection to anybody."""
    link: BaseException | None = error
    for _ in range(_MOST_LINKS):
        if isinstance(link, OSError) and link.errno in _MEANS:
            return True
        link = link and (link.__cause__ or link.__context__)
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))  # a name that could not be looked up for that says only that
    except OSError as lack:
        return lack.errno in _MEANS
    return False
