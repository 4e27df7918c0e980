"""Whether a Redis or Valkey server may hold our counters: reachable, recent enough, and never evicting."""

import contextlib
import re
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from scalix.store.connection.seeds import seeds_of
from scalix.store.connection.sentinel_url import SentinelUrl, is_of_sentinel

if TYPE_CHECKING:
    from redis import Redis

OLDEST_VERSION = (6, 2)
_SCHEMES = ("redis", "rediss", "unix")
_NO_ANSWER = "no answer in time"
_CLOSED = "it closed the connection"
UNKNOWN_POLICY = "unknown"


class StoreUnusable(Exception):
    """The server can't be our store: `what` is wrong, `fix` is what to do. Neither ever holds a password."""

    def __init__(self, what: str, fix: str) -> None:
        self.what = what
        self.fix = fix
        super().__init__(f"{what}; {fix}")


class StoreNotYet(StoreUnusable):
    """The server may become our store by itself: waiting helps."""


class StoreUnreachable(StoreNotYet):
    """Nothing that answers is at the address."""


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a server says of itself. `flavour` is `redis`, `valkey` or what else it calls itself.

    `maxmemory_bytes` is 0 where the server sets itself no limit. `version` is the flavour's own.
    """

    version: str
    flavour: str
    maxmemory_bytes: int
    maxmemory_policy: str
    cluster: bool


def check_server(url: str, *, timeout_s: float = 2.5) -> ServerFacts:
    """Ask the server at `url` (`redis://`, `rediss://` or `unix://`, as redis-py reads it) about itself, once.

    Needs no command but `INFO`, which managed servers allow where they forbid `CONFIG`. In a cluster it asks the node
    that the URL names, of several the first that is there. Answers within `timeout_s` seconds in all, name resolution
    included.

    Raises StoreUnusable: not reachable, credentials refused, older than 6.2, a read-only replica, still loading, or
    with a `maxmemory-policy` that may evict what we count (also without a `maxmemory` limit: that is one change away
    from losing counters).
    """
    result: list[ServerFacts | Exception] = []

    def ask() -> None:
        try:
            result.append(_ask(url, timeout_s))
        except Exception as error:
            result.append(error)

    # A resolver that does not answer can be waited for by no socket timeout: it is left behind in its thread.
    thread = threading.Thread(target=ask, name="store-check", daemon=True)
    thread.start()
    thread.join(timeout_s)
    if not result:
        raise _unreachable(url, _NO_ANSWER)
    if isinstance(result[0], Exception):
        raise result[0]
    return result[0]


def redacted(url: str) -> str:
    """`url` for a message: without user name, password and options; `***` where that can't be told apart for sure."""
    try:
        if is_of_sentinel(url):
            return SentinelUrl.parse(url).shown
        parts = urlsplit(url)
        nodes = [(node.hostname, node.port or 6379) for node in map(urlsplit, seeds_of(url))]
    except ValueError:
        return "***"
    rest = parts.path + parts.query + parts.fragment
    # An `@` after the first `/`, `?` or `#` is a password that was not percent-encoded, or might be.
    if parts.scheme not in _SCHEMES or "@" in rest or (parts.scheme != "unix" and not all(host for host, _ in nodes)):
        return "***"
    credentials = "***@" if "@" in parts.netloc else ""
    if parts.scheme == "unix":
        return f"unix://{credentials}{parts.path}"
    hosts = ",".join(f"[{host}]:{port}" if ":" in (host or "") else f"{host}:{port}" for host, port in nodes)
    database = parts.path if parts.path[1:].isdigit() else ""
    return f"{parts.scheme}://{credentials}{hosts}{database}"


def _ask(url: str, timeout_s: float) -> ServerFacts:
    # Imported here: redis-py takes a quarter of a second, and `--status` needs only the names above.
    from scalix.store.connection.blocking import client_of

    client: Redis | None = None
    if redacted(url) != "***":
        with contextlib.suppress(ValueError, TypeError):  # whose message may quote a part of the password
            client = client_of(url, timeout_s)
    if client is None:
        raise StoreUnusable(
            f"{redacted(url)} is no address of a Redis server",
            "write redis://user:password@host:6379/0 (rediss:// for TLS), with special characters percent-encoded",
        )
    info: dict[str, Any] | StoreUnusable
    try:
        info = client.info()
    except Exception as error:  # what is no Redis makes redis-py stumble in many ways
        info = _refusal(url, error)
    finally:
        client.close()
    if isinstance(info, StoreUnusable):
        raise info
    return _judge(url, info)


def _judge(url: str, info: dict[str, Any]) -> ServerFacts:
    where = f"the store at {redacted(url)}"
    compatible = str(info.get("redis_version", "0"))
    flavour = str(info.get("server_name") or "redis")
    version = str(info.get(f"{flavour}_version", compatible))
    if info.get("redis_mode", info.get("server_mode")) == "sentinel":
        raise StoreUnusable(
            f"{where} is a Sentinel, which holds no data", "write redis+sentinel://host:port/name-of-the-service"
        )
    if tuple(map(int, re.findall("[0-9]+", compatible)[:2])) < OLDEST_VERSION:
        raise StoreUnusable(f"{where} is version {compatible}", "Redis 6.2 or later, or any Valkey, is needed")
    if int(info.get("loading", 0)):
        raise _still_loading(where)
    cluster = bool(int(info.get("cluster_enabled", 0)))
    if not cluster and len(seeds_of(url)) > 1:
        raise StoreUnusable(
            "REDIS_URL names several servers, and the first that answers is no node of a Redis Cluster",
            "name nodes of one cluster, or one server, or Sentinels: redis+sentinel://host,host/name-of-the-service",
        )
    if info.get("role") in ("slave", "replica") and not cluster:
        raise StoreUnusable(f"{where} is a read-only replica", "set REDIS_URL to its primary")
    policy = str(info.get("maxmemory_policy", UNKNOWN_POLICY))
    # Where a provider keeps its settings to itself, nothing is known of it, and nobody here could change it.
    if policy not in ("noeviction", UNKNOWN_POLICY):
        raise StoreUnusable(
            f"{where} may evict counters: its maxmemory-policy is {policy}",
            "run CONFIG SET maxmemory-policy noeviction on it (and CONFIG REWRITE to keep it), or, where the provider "
            "manages it, set maxmemory-policy to noeviction in its parameter group or console",
        )
    return ServerFacts(version, flavour, int(info.get("maxmemory", 0)), policy, cluster)


def _refusal(url: str, error: Exception) -> StoreUnusable:
    """What redis-py's exception means for the operator. Of its text only what the server said is used."""
    from redis import exceptions as redis_errors

    where, said = f"the store at {redacted(url)}", str(error)
    if isinstance(error, redis_errors.AuthenticationError):
        if "without any password" in said or "no password is set" in said:
            return StoreUnusable(f"{where} has no password, and one was given", "unset REDIS_PASSWORD, or give it one")
        if "NOAUTH" in said or "Authentication required" in said or "HELLO must be" in said:
            return StoreUnusable(f"{where} requires a password", "set REDIS_PASSWORD, or the password in REDIS_URL")
        return StoreUnusable(f"{where} refuses the user name or password", "correct REDIS_USERNAME and REDIS_PASSWORD")
    if isinstance(error, redis_errors.NoPermissionError):
        return StoreUnusable(f"{where} does not let this user run INFO", "allow it: ACL SETUSER <user> +info")
    if isinstance(error, redis_errors.BusyLoadingError):
        return _still_loading(where)
    if isinstance(error, redis_errors.TimeoutError):
        return _unreachable(url, _NO_ANSWER)
    if isinstance(error, (redis_errors.ConnectionError, OSError)):
        return _unreachable(url, reason_of(said))
    if "unknown command" in said.lower() and "hello" in said.lower():
        return StoreUnusable(
            f"{where} is older than 6.2: it has no HELLO", "Redis 6.2 or later, or any Valkey, is needed"
        )
    if "DB index" in said or "SELECT is not allowed" in said:
        return StoreUnusable(f"{where} does not have the database asked for", "correct REDIS_DB; in a cluster it is 0")
    if "protected mode" in said:
        return StoreUnusable(
            f"{where} is in protected mode, in which it serves its own machine alone",
            "give it a password (requirepass), or set protected-mode no where only gateways reach it",
        )
    fix = "correct REDIS_URL, or REDIS_HOST and REDIS_PORT"
    return StoreUnusable(f"{where} does not answer like a Redis server", fix)


def reason_of(said: str) -> str:
    """The cause within redis-py's message of a failed connection, in our words: the message itself names too much."""
    for mark, reason in (
        ("match", "its TLS certificate is for another host name (?ssl_check_hostname=false does not look at that)"),
        ("CERTIFICATE_REQUIRED", _CLOSED),
        ("EOF occurred", _CLOSED),
        (
            "CERTIFICATE_VERIFY_FAILED",
            "its TLS certificate is not trusted (name the authority's file in REDIS_SSL_CA_CERTS)",
        ),
        ("WRONG_VERSION_NUMBER", "it does not speak TLS (redis:// is without)"),
        ("SSL", "the TLS handshake failed"),
        ("refused", "connection refused"),
        ("Name or service not known", "unknown host name"),
        ("name resolution", "the host name can't be resolved"),
        ("No such file", "no such socket"),
        ("Permission denied", "permission denied"),
        ("nreachable", "network unreachable"),
        ("closed", _CLOSED),
        ("reset", _CLOSED),
    ):
        if mark in said:
            return reason
    return "the connection failed"


def _unreachable(url: str, reason: str) -> StoreUnreachable:
    if reason == _NO_ANSWER and url.startswith("rediss:"):
        reason += " (does it speak TLS? redis:// is without)"
    if reason == _CLOSED and url.startswith("rediss:"):
        reason += " (does it want a certificate of ours? set REDIS_SSL_CERTFILE and REDIS_SSL_KEYFILE)"
    elif reason == _CLOSED:
        reason += " (does it expect TLS? then rediss://)"
    fix = "start it, correct REDIS_URL or REDIS_HOST and REDIS_PORT, or unset them to use the embedded store"
    return StoreUnreachable(f"the store at {redacted(url)} can't be reached: {reason}", fix)


def _still_loading(where: str) -> StoreUnusable:
    return StoreNotYet(f"{where} is still loading its data", "start again when it is done")
