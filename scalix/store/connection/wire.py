"""One connection to a server, made anew wherever it can't be relied on any more."""

import time
from collections.abc import Callable
from typing import Any

# Firewalls and balancers forget a connection that carries nothing, some after four minutes, and tell neither end.
LONGEST_REST_S = 60.0


class Wire:
    """A connection of redis-py's, which `connect` makes, unconnected."""

    __slots__ = ("_connect", "_connection", "_transport", "_used_s")

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect
        self._connection: Any = None
        self._transport: Any = None
        self._used_s = 0.0

    async def ready(self) -> Any:
        """The connection, connected. It is another one if the server has closed it, or if it has rested for long."""
        now_s, connection = time.monotonic(), self._connection
        if connection is not None and (
            not connection.is_connected or now_s - self._used_s > LONGEST_REST_S or await connection.can_read()
        ):
            await self.drop()
        if self._connection is None:
            self._connection = self._connect()  # reads the files for TLS, which may have been renewed
            await self._connection.connect()
            self._transport = self._connection._writer.transport
        self._used_s = now_s
        return self._connection

    async def drop(self) -> None:
        """Be done with the connection at once. A peer that is silent could keep a socket on which something is still to
        be sent, or a goodbye of TLS to be heard, for as long as it likes."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        transport = connection._writer.transport if connection._writer else self._transport
        self._transport = None
        if transport is not None:
            transport.abort()
        await connection.disconnect(nowait=True)
