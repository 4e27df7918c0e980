"""A connection to a provider whose other end has gone ends within a minute also while a request is being sent on it."""

import socket
from collections.abc import Callable
from typing import Any

from scalix.litellm_adapter.seam_checks import replace

# The kernel sends again for a quarter of an hour. What it looks for by itself are connections on which nothing is sent.
LONGEST_UNHEARD_MS = 60_000

Make = Callable[[Any], socket.socket]


def bound_sending() -> None:
    """Have the sockets of LiteLLM's session, which serve both engines, end then."""
    replace("litellm.llms.custom_httpx.http_handler:build_aiohttp_keepalive_socket_factory", _bounded)


def _bounded(own: Callable[[], Make | None]) -> Callable[[], Make | None]:
    def build() -> Make | None:
        make = own()
        if make is None:
            return None

        def bounded(address: Any) -> socket.socket:
            made = make(address)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, LONGEST_UNHEARD_MS)
            return made

        return bounded

    return build
