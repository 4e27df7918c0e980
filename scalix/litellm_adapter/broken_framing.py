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


def telling(own: _Set) -> _Set:
    """`set_exception` of aiohttp's handler of answers, which tells who reads the body too."""

    def set_exception(self: ResponseHandler, exc: BaseException, *cause: Any) -> None:
        own(self, exc, *cause)
        if isinstance(exc, HttpProcessingError) and self._payload is not None:
            self._payload.set_exception(ClientPayloadError(f"no chunks came: {exc.message}"))

    return set_exception
