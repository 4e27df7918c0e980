"""Ends the reading of an answer whose chunks are none.

Where aiohttp (3.14) finds nonsense in the middle of a body, it closes the connection and tells who waits for a head,
but not who reads the body, and stops its clock: that would be waited for without end.
"""

from collections.abc import Callable
from typing import Any

from aiohttp import ClientPayloadError
from aiohttp.client_proto import ResponseHandler
from aiohttp.http_exceptions import HttpProcessingError

_Set = Callable[..., None]


def install() -> None:
    """Put it around aiohttp's handler of answers, once."""
    if not hasattr(ResponseHandler.set_exception, "scalix"):
        telling = _telling(ResponseHandler.set_exception)
        telling.scalix = True  # type: ignore[attr-defined]
        ResponseHandler.set_exception = telling  # type: ignore[method-assign]


def _telling(own: _Set) -> _Set:
    def set_exception(self: ResponseHandler, exc: BaseException, *cause: Any) -> None:
        own(self, exc, *cause)
        if isinstance(exc, HttpProcessingError) and self._payload is not None:
            self._payload.set_exception(ClientPayloadError(f"no chunks came: {exc.message}"))

    return set_exception
