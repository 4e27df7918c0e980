"""Calls to the server that end in time, and whose failures are all `StoreUnavailable`."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TryAgainError,
)

from scalix.store.base import CallRejected, StoreUnavailable
from scalix.store.connection.deadline import CALL_TIMEOUT_MS, Patience, granted_store_time

# What a server answers that can't serve anybody now. Scripts' errors hold the code somewhere in their text.
_SERVER_IS_AWAY = re.compile(
    r"\b(OOM|READONLY|NOPERM|NOAUTH|WRONGPASS|LOADING|BUSY|MISCONF|MASTERDOWN|NOREPLICAS|CLUSTERDOWN|TRYAGAIN)\b"
    # What a script is told of a command that its user may not run: Valkey and Redis 7, then Redis 6.2.
    r"|ACL failure in script|user executing the script"
)
# What that means for the operator; all else is that it can't be reached.
_STATES = {
    "MISCONF": "can't write to its disk",
    "OOM": "out of memory",
    "READONLY": "read-only",
    "LOADING": "loading its data",
    **dict.fromkeys(("NOPERM", "NOAUTH", "WRONGPASS"), "refuses the gateway's user"),
}
# Of what redis-py has a type for, it leaves the code out of the text.
_AWAY_TYPES: dict[type[RedisError], str] = {
    AuthenticationError: "NOAUTH",
    BusyLoadingError: "LOADING",
    ClusterDownError: "CLUSTERDOWN",
    NoPermissionError: "NOPERM",
    OutOfMemoryError: "OOM",
    ReadOnlyError: "READONLY",
    TryAgainError: "TRYAGAIN",
}
_NEVER_CONNECTED = (ConnectionRefusedError, FileNotFoundError)


@asynccontextmanager
async def in_time(timeout_ms: int = CALL_TIMEOUT_MS) -> AsyncIterator[None]:
    """Bounds a call to the store, and turns every way that it can fail into `StoreUnavailable`.

    Within a request that was granted store time, a call gets what its earlier calls have left of it.
    """
    budget = granted_store_time()
    allowed_ms = timeout_ms if budget is None else min(timeout_ms, budget.left_ms)
    if allowed_ms <= 0:
        message = "the request has waited for the store as long as it may"
        raise StoreUnavailable(message, maybe_acted=False, counts=False)
    patience = Patience(allowed_ms)
    try:
        async with asyncio.timeout(None) as scope:
            patience.start(scope)
            yield
    except TimeoutError:
        # A call with little time left says little about the store.
        counts = 2 * allowed_ms >= timeout_ms
        raise StoreUnavailable(f"the store did not answer within {allowed_ms:.0f} ms", counts=counts) from None
    except StoreUnavailable as fault:
        if fault.__cause__ is not None and _never_connected(fault.__cause__):
            fault.maybe_acted = False
        raise
    except (RedisError, RedisClusterException, OSError) as error:
        raise fault_of(error) from error
    except RuntimeError as error:
        # uvloop's transports say so when their other end has gone.
        if "closed" not in str(error):
            raise
        raise StoreUnavailable("the store closed the connection") from error
    finally:
        patience.stop()
        if budget is not None:
            budget.left_ms -= patience.waited_ms


def fault_of(error: Exception) -> StoreUnavailable:
    """What an error of redis-py says about the store."""
    message = f"the store failed: {type(error).__name__}"
    word = next((word for kind, word in _AWAY_TYPES.items() if isinstance(error, kind)), "")
    if isinstance(error, ResponseError) and not word:
        code = _SERVER_IS_AWAY.search(str(error))
        if code is None:
            return CallRejected(message)
        word = code[0]
        message = f"{message} {word}"
    if word:
        return StoreUnavailable(message, maybe_acted=False, state=_STATES.get(word, "unreachable"))
    return StoreUnavailable(message, maybe_acted=not _never_connected(error))


def _never_connected(error: BaseException) -> bool:
    return isinstance(error, _NEVER_CONNECTED) or isinstance(error.__context__, _NEVER_CONNECTED)
