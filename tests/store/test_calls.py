"""Every way in which a server can fail a call is `StoreUnavailable`, and says whether the call may have acted."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import (
    BusyLoadingError,
    ConnectionError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TimeoutError,
)

from scalix.store.base import CallRejected, StoreUnavailable
from scalix.store.connection.calls import fault_of, in_time
from scalix.store.connection.redis_client import connect
from tests.store.servers import Server


@pytest.mark.parametrize(
    "error",
    [
        OutOfMemoryError("command not allowed when used memory > 'maxmemory'. script: 5f, on @user_script:33."),
        ReadOnlyError("You can't write against a read only replica."),
        NoPermissionError("this user has no permissions to run the 'evalsha' command"),
        BusyLoadingError("Redis is loading the dataset in memory"),
        ResponseError("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."),
        ResponseError("MISCONF Redis is configured to save RDB snapshots, but it's currently unable to persist"),
        ResponseError("NOREPLICAS Not enough good replicas to write."),
        ResponseError("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'."),
        # As 6.2 words what fails within a script.
        ResponseError("Error running script (call to f_5f): @user_script:7: -READONLY You can't write against"),
        ResponseError("Error running script (call to f_5f): @user_script:7: -OOM command not allowed"),
        ResponseError("The user executing the script can't run this command or subcommand script: 5f NOPERM"),
    ],
    ids=lambda error: str(error)[:24],
)
def test_a_server_that_serves_nobody_has_not_acted(error: Exception) -> None:
    fault = fault_of(error)
    assert not isinstance(fault, CallRejected)
    assert not fault.maybe_acted
    assert fault.counts


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ("OOM command not allowed when used memory > 'maxmemory'.", "out of memory"),
        ("READONLY You can't write against a read only replica.", "read-only"),
        ("LOADING Redis is loading the dataset in memory", "loading its data"),
        ("NOPERM User default has no permissions to run the 'get' command", "refuses the gateway's user"),
        ("NOAUTH Authentication required.", "refuses the gateway's user"),
        ("WRONGPASS invalid username-password pair", "refuses the gateway's user"),
        ("MISCONF Redis is configured to save RDB snapshots", "can't write to its disk"),
        ("MASTERDOWN Link with MASTER is down", "unreachable"),
        ("CLUSTERDOWN The cluster is down", "unreachable"),
        ("TRYAGAIN Multiple keys request during rehashing of slot", "unreachable"),
    ],
)
def test_what_a_server_answers_that_serves_nobody_is_told_as_redis_py_reads_it(answer: str, state: str) -> None:
    fault = fault_of(BaseParser.parse_error(answer))  # type: ignore[no-untyped-call]
    assert not isinstance(fault, CallRejected)
    assert (fault.state, fault.maybe_acted) == (state, False)


def test_an_error_on_one_key_is_that_calls_alone() -> None:
    fault = fault_of(ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value script: 5f"))
    assert isinstance(fault, CallRejected)
    assert not fault.maybe_acted


@pytest.mark.parametrize("error", [ConnectionError("Connection closed by server."), TimeoutError("Timeout reading")])
def test_a_connection_lost_in_the_middle_leaves_open_what_was_done(error: Exception) -> None:
    assert fault_of(error).maybe_acted


def test_no_fault_repeats_what_the_server_said() -> None:
    """Servers quote arguments in their errors, and these are users' names."""
    assert "alice" not in str(fault_of(ResponseError("wrong number of arguments, args beginning with: 'user:alice'")))


@pytest.mark.parametrize("where", ["tcp", "unix"])
async def test_a_server_that_was_never_reached_has_not_acted(where: str, tmp_path: Path, unused_tcp_port: int) -> None:
    url = f"redis://127.0.0.1:{unused_tcp_port}" if where == "tcp" else f"unix://{tmp_path}/none.sock"
    client = connect(url)
    with pytest.raises(StoreUnavailable) as caught:
        async with in_time():
            await client.ping()
    assert not caught.value.maybe_acted
    await client.aclose()


async def test_a_server_busy_with_a_script_is_away_until_it_is_done(tmp_path: Path, unused_tcp_port: int) -> None:
    server = Server(tmp_path, unused_tcp_port, "--lua-time-limit", "1")
    server.start()
    client = connect(server.url)
    try:
        async with in_time():
            await client.ping()
        loop = asyncio.get_running_loop()
        endless = loop.run_in_executor(None, lambda: server.admin.eval("while true do end", 0))
        with pytest.raises(StoreUnavailable):
            await _ping_for_ever(client)
        stopper = connect(server.url, timeout_ms=5_000)
        await stopper.script_kill()
        await stopper.aclose()
        await asyncio.gather(endless, return_exceptions=True)
        async with in_time():
            await client.ping()
    finally:
        await client.aclose()
        server.close()


async def _ping_for_ever(client: Any) -> None:
    while True:
        async with in_time():
            await client.ping()
