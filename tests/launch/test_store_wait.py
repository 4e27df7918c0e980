"""A start without the store: outside development the gateway waits for it, and takes none that is no good."""

from pathlib import Path

import pytest

from scalix.launch.embedded.store_wait import SAY_EVERY_S, StoreWait
from scalix.store.connection.server_check import ServerFacts, StoreNotYet, StoreUnusable, check_server
from tests.launch.running import Place, eventually
from tests.store.servers import Server, free_ports, running

FACTS = ServerFacts("8.0.0", "valkey", 0, "noeviction", cluster=False)
MASTER_KEY = "sk-of-the-store-wait-tests-0123456789"
# A stop waits for nobody here.
STAGING = {"SCALIX_ENV": "staging", "LITELLM_MASTER_KEY": MASTER_KEY, "SCALIX_DRAIN_S": "0"}


class Asked:
    """A server that answers as it is told, asked by a clock that is moved by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.times = 0
        self.answer: ServerFacts | Exception = StoreNotYet("the store at redis://x:6379 can't be reached", "start it")
        self.lines: list[str] = []
        self.wait = StoreWait(self.ask, "environment", self.lines.append, lambda: self.now_s)

    def ask(self) -> ServerFacts:
        self.times += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def pass_s(self, seconds: int) -> ServerFacts | None:
        """Let so many seconds go by, with several steps in each, as the launcher makes them."""
        for _ in range(seconds):
            before = self.times
            self.now_s += 1.001
            assert self.wait.step() is None
            eventually(lambda before=before: self.times > before, "it is asked")  # type: ignore[misc]
            eventually(lambda: self.wait._answers, "its answer")
            if found := self.wait.step():
                return found
        return None


def test_a_store_that_is_away_is_asked_every_second_and_told_of_every_ten() -> None:
    asked = Asked()
    assert asked.wait.first_look() is None
    assert asked.pass_s(35) is None
    assert asked.times == 36
    assert len(asked.lines) == 1 + 35 // SAY_EVERY_S
    assert "not ready until it is there" in asked.lines[0]
    asked.answer = FACTS
    assert asked.pass_s(1) == FACTS


def test_a_step_that_is_made_too_soon_asks_nobody() -> None:
    asked = Asked()
    asked.wait.first_look()
    asked.now_s = 1.001
    for _ in range(1_000):
        asked.wait.step()
    eventually(lambda: asked.times == 2, "it is asked")
    for _ in range(1_000):
        assert asked.wait.step() is None
    assert asked.times == 2


def test_a_store_that_comes_and_is_no_good_is_refused() -> None:
    asked = Asked()
    asked.wait.first_look()
    asked.answer = StoreUnusable("it may evict counters", "set noeviction")
    with pytest.raises(StoreUnusable, match="evict"):
        asked.pass_s(1)


def test_in_staging_a_gateway_waits_for_its_store_and_is_ready_when_it_comes(place: Place, tmp_path: Path) -> None:
    server = Server(tmp_path / "server", free_ports(1)[0])
    place.launch(extra={**STAGING, "REDIS_URL": server.url})
    eventually(lambda: "ready in" in place.terminal(), "its worker serves")
    assert "can't be reached: connection refused; not ready until it is there" in place.terminal()
    assert "is ready at" not in place.terminal()
    status = place.run("--status")
    assert status.returncode == 1
    assert "not there yet, redis://127.0.0.1" in status.stdout
    (worker,) = (entry for entry in place.run("--status", "--json").stdout.split('"workers": ')[1:])
    with running(server):
        eventually(lambda: "is ready at" in place.terminal(), "it is ready")
        status = place.run("--status", "--json")
        assert status.returncode == 0
        assert f"at {server.url}" in status.stdout
        # It is the worker that was there before.
        assert status.stdout.split('"workers": ')[1].split(", ")[1] == worker.split(", ")[1]
        assert place.run("--stop").returncode == 0


@pytest.mark.parametrize("environment", ["staging", "production"])
def test_a_store_that_comes_later_and_evicts_ends_the_gateway(place: Place, tmp_path: Path, environment: str) -> None:
    server = Server(tmp_path / "server", free_ports(1)[0], "--maxmemory-policy", "allkeys-lru")
    variables = {"SCALIX_ENV": environment, "OTHER_KEY": "sk-other-provider-key-0123456789", "REDIS_URL": server.url}
    (place.folder / "empty.env").chmod(0o600)
    process = place.launch(extra={**STAGING, **variables})
    eventually(lambda: "not ready until it is there" in place.terminal() or process.poll(), "it waits")
    assert process.poll() is None, place.terminal()
    with running(server):
        assert process.wait(20) == 2
    assert "its maxmemory-policy is allkeys-lru; run CONFIG SET" in place.terminal()


def test_an_unusable_store_ends_a_start_at_once_everywhere(place: Place, tmp_path: Path) -> None:
    with running(Server(tmp_path / "server", free_ports(1)[0])) as server:
        server.admin.config_set("requirepass", "secret-of-it")
        process = place.launch(extra={**STAGING, "REDIS_URL": server.url.replace("//", "//:wrong-one@")})
        assert process.wait(20) == 2
    assert "refuses the user name or password" in place.terminal()
    assert "wrong-one" not in place.terminal()


def test_in_development_a_start_without_the_store_ends_and_says_what_to_do(place: Place) -> None:
    process = place.launch(extra={"REDIS_URL": f"redis://127.0.0.1:{free_ports(1)[0]}/0"})
    assert process.wait(20) == 2
    assert "can't be reached: connection refused; start one there, or unset REDIS_URL" in place.terminal()


def test_a_server_that_still_loads_its_data_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    import redis

    def loading(*_: object) -> None:
        raise redis.exceptions.BusyLoadingError("LOADING")

    monkeypatch.setattr(redis.Redis, "info", loading)
    with pytest.raises(StoreNotYet, match="still loading"):
        check_server("redis://127.0.0.1:1/0")
