"""A client that waits for its answers, for the few questions that are asked before requests are served."""

import contextlib
import time

import redis
from redis import exceptions as redis_errors
from redis.backoff import NoBackoff
from redis.retry import Retry

from scalix.store.connection.seeds import seeds_of
from scalix.store.connection.sentinel_url import SentinelUrl, is_of_sentinel
from scalix.store.connection.server_check import StoreUnreachable, StoreUnusable, reason_of, redacted


def client_of(url: str, timeout_s: float) -> "redis.Redis":
    """A client of redis-py's, of the server at `url`, of one of several nodes that is there, or of the server that
    Sentinels name. It connects at the first command.

    Raises StoreUnusable for Sentinels, and what redis-py raises for a URL that is none, whose text may hold a password.
    """
    return redis.Redis.from_url(
        master_of(url, timeout_s) if is_of_sentinel(url) else node_of(url, timeout_s),
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def node_of(url: str, timeout_s: float) -> str:
    """redis-py's URL of the first of several nodes that says anything but that it is loading; of the first one, if none
    does."""
    first, *others = seeds_of(url)
    ends_s = time.monotonic() + timeout_s
    for node in (first, *others) if others else ():
        if is_there(node, max(0.1, (ends_s - time.monotonic()) / 2)):
            return node
    return first


def is_there(node: str, timeout_s: float) -> bool:
    """Whether anything that serves answers at redis-py's URL."""
    with contextlib.closing(client_of(node, timeout_s)) as client:
        try:
            client.ping()
        except redis_errors.AuthenticationError:  # a sort of ConnectionError
            return True
        except (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError):
            return False
        except redis_errors.RedisError:
            return True
    return True


def master_of(url: str, timeout_s: float) -> str:
    """redis-py's URL of the master, as the first Sentinel that answers knows it. Raises StoreUnusable."""
    try:
        parts = SentinelUrl.parse(url)
    except ValueError as error:
        fix = "write redis+sentinel://user:password@host:26379,host:26379/service/0"
        raise StoreUnusable(f"REDIS_URL is no address of Sentinels: {error}", fix) from None
    faults: list[StoreUnusable] = []
    ends_s = time.monotonic() + timeout_s
    for node in parts.nodes:
        left_s = max(0.1, (ends_s - time.monotonic()) / 2)
        try:
            return _asked(parts, parts.sentinel(node), left_s)
        except StoreUnusable as fault:
            faults.append(fault)
    # One that answers says more than one that does not.
    raise next((fault for fault in faults if not isinstance(fault, StoreUnreachable)), faults[0])


def _asked(parts: SentinelUrl, url: str, timeout_s: float) -> str:
    where = f"the Sentinel at {redacted(url)}"
    try:
        client = client_of(url, timeout_s)
    except (ValueError, TypeError):  # whose message may quote a part of a password
        fix = "write such as ?ssl_ca_certs=FILE, or none"
        raise StoreUnusable("REDIS_URL has an option that is none of redis-py's", fix) from None
    try:
        with contextlib.closing(client):
            found = client.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", parts.service)
    except (redis_errors.AuthenticationError, redis_errors.NoPermissionError) as error:
        if "NOAUTH" in str(error) or "Authentication required" in str(error) or "HELLO must be" in str(error):
            raise StoreUnusable(f"{where} requires a password", "set REDIS_SENTINEL_PASSWORD") from None
        fix = "correct REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD"
        raise StoreUnusable(f"{where} refuses the user name or password", fix) from None
    except (redis_errors.ConnectionError, redis_errors.TimeoutError, OSError) as error:
        fix = "start it, or correct its address in REDIS_URL"
        raise StoreUnreachable(f"{where} can't be reached: {reason_of(str(error))}", fix) from None
    except redis_errors.RedisError:
        raise StoreUnusable(f"{where} is no Sentinel", "write redis:// for a server") from None
    if not found:
        fix = "write the name that `sentinel monitor` has in its configuration"
        raise StoreUnusable(f"{where} watches no service of the name {parts.service}", fix)
    return parts.server((str(found[0]), int(found[1])))
