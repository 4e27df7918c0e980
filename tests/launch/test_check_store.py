"""`--check` tries the store that the settings name: what is said before a start holds at the start."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalix.launch.doctor.store import _seeds
from tests.launch.running import Place
from tests.store.servers import Server, free_ports

GOOD_KEY = "sk-5e1f0a9b7c3d2e4f5a6b7c8d9e0f1a2b"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "server", free_ports(1)[0]).start()
    yield server
    server.close()


@pytest.mark.parametrize("name", ["development", "staging", "production"])
def test_a_store_that_is_away_is_a_problem_in_every_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    place.extra = {
        "REDIS_URL": f"redis://:canary@127.0.0.1:{free_ports(1)[0]}",
        "SCALIX_ENV": name,
        "LITELLM_MASTER_KEY": GOOD_KEY,
    }
    (place.folder / "empty.env").chmod(0o600)
    code, told, errors = place.run_here(monkeypatch, "--check")
    assert (code, told) == (2, "")
    assert "can't be reached: connection refused" in errors
    assert "unset REDIS_URL" in errors
    assert "canary" not in errors
    code, told, _ = place.run_here(monkeypatch, "--check", "--json")
    assert code == 2
    assert json.loads(told)["ok"] is False


def test_offline_the_store_is_not_tried(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.extra = {"REDIS_URL": f"redis://127.0.0.1:{free_ports(1)[0]}"}
    code, told, _ = place.run_here(monkeypatch, "--check", "--offline")
    assert code == 0
    assert "nothing was started" in told


def test_a_store_that_would_lose_counters_is_a_problem_and_a_sound_one_is_none(
    place: Place, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    place.extra = {"REDIS_URL": server.url}
    assert place.run_here(monkeypatch, "--check")[0] == 0
    server.admin.config_set("maxmemory-policy", "allkeys-lru")
    code, _, errors = place.run_here(monkeypatch, "--check")
    assert code == 2
    assert "maxmemory-policy is allkeys-lru" in errors


def test_a_name_that_no_resolver_answers_for_holds_up_no_check(
    place: Place, monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    looked_up, ends, answered = socket.getaddrinfo, threading.Event(), list[str]()

    def hangs(host: str, *arguments: Any, **options: Any) -> Any:
        if host == "hangs.test":
            answered.extend([host] * (not ends.wait(20)))
        return looked_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", hangs)
    place.extra = {"REDIS_URL": "redis://hangs.test:6379"}
    code, _, errors = place.run_here(monkeypatch, "--check")
    assert (code, "can't be reached: no answer in time" in errors) == (2, True)
    findings = list(_seeds(f"{server.url.rpartition('/')[0]},hangs.test:6379/0"))
    assert [(one.level, one.where) for one in findings] == [("warning", "redis://hangs.test:6379/0")]
    assert not answered
    ends.set()
