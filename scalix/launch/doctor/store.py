"""The store: whether it is there, keeps what it is told over a restart, and answers as fast as requests need it."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from scalix.launch.doctor.findings import Case, Finding
from scalix.launch.embedded.store_binary import find_server_binary
from scalix.launch.embedded.store_child import check_named_store
from scalix.launch.embedded.store_socket import socket_of
from scalix.launch.problems import LaunchError
from scalix.store.connection.seeds import seeds_of
from scalix.store.connection.server_check import StoreNotYet, StoreUnusable, check_server, redacted

if TYPE_CHECKING:
    from redis import Redis

_NAMES_ONE = ("REDIS_URL", "REDIS_HOST")
_PINGS = 20
_SLOW_MS = 5.0
_MOST_CLOCK_DIFFERENCE_S = 1.0
_FULL_PERCENT = 80
_TIMEOUT_S = 2.5
_SEED_TIMEOUT_S = 1.0


def check_store(case: Case) -> Iterator[Finding]:
    """The store that the settings name, else the gateway's own, where that runs."""
    settings, environment = case.found.settings, case.found.environment
    if settings.redis_url is None and any(name in _NAMES_ONE for name, _ in environment.store_variables):
        yield Finding("note", "store", "not tried, because of what is wrong with the settings that name it")
    elif settings.redis_url is None:
        yield from _embedded(case)
    elif case.offline:
        yield Finding("note", "store", "not tried, because of --offline")
    else:
        try:
            flavour, version = check_named_store(settings, environment.store_variables)
        except LaunchError as error:
            yield from (Finding.of(one) for one in error.problems)
            return
        yield Finding("ok", redacted(settings.redis_url), f"{flavour} {version}")
        yield from _seeds(settings.redis_url)
        yield from _asked(case, settings.redis_url, "store")


def _seeds(url: str) -> Iterator[Finding]:
    """Which of several nodes a start could not count on."""
    seeds = seeds_of(url)
    for seed in seeds if len(seeds) > 1 else ():
        try:
            check_server(seed, timeout_s=_SEED_TIMEOUT_S)
        except StoreNotYet:
            fix = "start it, or name another node of the cluster in its place"
            yield Finding("warning", redacted(seed), "does not answer; other nodes that REDIS_URL names do", fix)
        except StoreUnusable:  # it is there
            pass


def _embedded(case: Case) -> Iterator[Finding]:
    socket = socket_of(case.state_dir)
    try:
        binary = find_server_binary()
    except LaunchError as error:
        yield from (Finding.of(one) for one in error.problems)
        return
    if socket is None:
        yield Finding("ok", "store", f"the gateway's own, which does not run now ({binary.name} is there)")
    else:
        yield from _asked(case, f"unix://{socket}", "store", own=True)


def _asked(case: Case, url: str, where: str, *, own: bool = False) -> Iterator[Finding]:
    import redis

    from scalix.store.connection.blocking import client_of

    try:
        client = client_of(url, _TIMEOUT_S)
    except StoreUnusable as error:
        yield Finding("problem", where, error.what, error.fix)
        return
    try:
        facts: dict[str, Any] = client.info()
        if not own:
            yield _persistence(case, client, facts)
        yield from _trouble(facts)
        yield _memory(facts)
        yield from _speed(case, client)
        if int(facts.get("cluster_enabled", 0)):
            yield _cluster(client)
    except redis.RedisError as error:
        what = f"the store does not answer as it should ({type(error).__name__})"
        yield Finding("problem", where, what, "look into its log; if it has just started, call this again")
    finally:
        client.close()


def _persistence(case: Case, client: "Redis", facts: dict[str, Any]) -> Finding:
    """What would be left of users, keys and charges after the store's restart."""
    import redis

    if int(facts.get("aof_enabled", 0)):
        return Finding("ok", "store", "writes what it is told to disk (appendonly yes)")
    try:
        snapshots: Any = client.config_get("save").get("save", "")
    except redis.RedisError:  # managed servers forbid CONFIG
        what = "has no append-only file, and does not let itself be asked whether it keeps snapshots"
        return Finding("note", "store", what, "see in its console that it keeps data over a restart")
    if snapshots:
        what = f"keeps snapshots only (save {snapshots}): what was charged after the last one is lost at a crash"
        return Finding("warning", "store", what, "set appendonly yes on it, and CONFIG REWRITE to keep that")
    what = "keeps nothing on disk (appendonly no, save off): users, keys and charges are lost when it restarts"
    fix = "set appendonly yes on it, and CONFIG REWRITE to keep that"
    return Finding("problem" if case.production else "warning", "store", what, fix)


def _trouble(facts: dict[str, Any]) -> Iterator[Finding]:
    for name, what in (
        ("aof_last_write_status", "its last write to the append-only file failed"),
        ("rdb_last_bgsave_status", "its last snapshot failed"),
    ):
        if facts.get(name, "ok") != "ok":
            yield Finding("problem", "store", what, "look into its log, and for room on its disk")


def _memory(facts: dict[str, Any]) -> Finding:
    used, most = int(facts.get("used_memory", 0)), int(facts.get("maxmemory", 0))
    of_machine = int(facts.get("total_system_memory", 0))
    text = f"{used / 2**20:,.0f} MB in use"
    if most or of_machine:
        percent = 100 * used // (most or of_machine)
        text += f", {percent} % of {'maxmemory' if most else 'its machine'}"
        if percent >= _FULL_PERCENT:
            return Finding("warning", "store", text, "give it more memory, or shorten `scalix: retention:`")
    return Finding("ok", "store", text)


def _speed(case: Case, client: "Redis") -> Iterator[Finding]:
    took_ms = []
    for _ in range(_PINGS):
        before = time.perf_counter()
        client.ping()
        took_ms.append((time.perf_counter() - before) * 1000)
    took_ms.sort()
    median, p99 = took_ms[_PINGS // 2], took_ms[-1]
    text = f"answers within {median:.1f} ms (p50) and {p99:.1f} ms (p99 of {_PINGS} pings)"
    if median > _SLOW_MS:
        yield Finding("warning", "store", text, "put it nearer: each request asks it twice")
    else:
        yield Finding("ok", "store", text)
    before_s = time.time()
    at: Any = client.time()
    difference_s = at[0] + at[1] / 1e6 - (before_s + time.time()) / 2
    if abs(difference_s) > _MOST_CLOCK_DIFFERENCE_S:
        what = f"its clock is {abs(difference_s):.1f} s {'ahead of' if difference_s > 0 else 'behind'} this machine's"
        yield Finding("warning", "store", what, "have both set by NTP: limits count by these clocks")


def _cluster(client: "Redis") -> Finding:
    state: Any = client.execute_command("CLUSTER INFO")
    text = state if isinstance(state, str) else "".join(f"{name}:{value}\n" for name, value in dict(state).items())
    if "cluster_state:ok" in text:
        return Finding("ok", "store", "the cluster is whole")
    return Finding(
        "problem", "store", "the cluster is not whole (cluster_state)", "run redis-cli --cluster check on it"
    )
