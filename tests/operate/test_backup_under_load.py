"""A backup that is made while a whole gateway serves, restored into an empty store: of each user all that had ended
before it, nothing that came after it, and figures that are those of the events. By a server and through Sentinels."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import Gateway, write_config
from tests.e2e.test_audit import scalix
from tests.operate.watching import meanwhile, soon
from tests.store.sentinels import Watched
from tests.store.servers import Server, free_ports, running

pytestmark = pytest.mark.operate
MODEL = "free-gemini-flash"
USERS = [f"user-{number}" for number in range(8)]


@contextmanager
def store_of(kind: str, folder: Path) -> Iterator[Mapping[str, str]]:
    """The variables that name a store of this kind, which runs."""
    if kind == "sentinel":
        folder.mkdir()
        with running(Watched(folder)) as watched:
            yield {"REDIS_URL": watched.url}
    else:
        with running(Server(folder, free_ports(1)[0])) as server:
            yield {"REDIS_URL": server.url}


def gateway_at(folder: Path, provider: DemoServer, backups: Path, variables: Mapping[str, str]) -> Gateway:
    section = {"backup": {"to": str(backups), "every_hours": 0}, "default_tier": "roomy"}
    return Gateway(folder, provider.url, options=("--workers", "2"), section=section, extra=variables)


class Load:
    """Requests of all users, again and again; how many were answered."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._lock = threading.Lock()
        self._next = 0
        self.answered = 0

    def ask(self) -> None:
        with self._lock:
            self._next += 1
            user = USERS[self._next % len(USERS)]
        body = {"model": MODEL, "user": user, "messages": [{"role": "user", "content": "words=5"}]}
        with self._gateway.client() as http:
            assert http.post("/v1/chat/completions", json=body).status_code == 200
        with self._lock:
            self.answered += 1


def events(gateway: Gateway, user: str) -> dict[str, int]:
    """The tokens of each event of a user, by the request's id."""
    found: dict[str, int] = {}
    cursor = ""
    with gateway.client() as http:
        while True:
            asked = {"user_id": user, "limit": "500", **({"cursor": cursor} if cursor else {})}
            page = http.get("/scalix/v1/usage/events", params=asked).json()
            found |= {event["id"]: event["tokens"] for event in page["events"]}
            if not (cursor := page.get("next_cursor") or ""):
                return found


def used(gateway: Gateway, user: str) -> tuple[int, int]:
    """The requests and the tokens of today in a user's limits."""
    with gateway.client() as http:
        limits = http.get("/scalix/v1/usage", params={"user_id": user}).json()["limits"]
    by_name: dict[str, Any] = {one["limit"]: one for one in limits}
    return by_name["requests-day"]["used"], by_name["tokens-day"]["used"]


@pytest.mark.parametrize("kind", ["server", "sentinel"])
def test_of_each_user_it_has_what_the_ledger_had_at_that_moment(
    kind: str, tmp_path: Path, demo_server: DemoServer
) -> None:
    backups = tmp_path / "backups"
    with store_of(kind, tmp_path / "store") as variables:
        gateway = gateway_at(tmp_path / "one", demo_server, backups, variables).start()
        try:
            load = Load(gateway)
            with meanwhile(load.ask, threads=6):
                soon(lambda: load.answered > 300, "no requests are answered", within_s=120)
                before = {user: events(gateway, user) for user in USERS}
                made = scalix(gateway, "backup", "create", "--json")
                assert made.returncode == 0, made.stderr
                at_end = load.answered
                soon(lambda: load.answered > at_end + 50, "no requests are answered after it")
            after = {user: events(gateway, user) for user in USERS}
        finally:
            gateway.stop()
    name = json.loads(made.stdout)["name"]
    with running(Server(tmp_path / "empty", free_ports(1)[0])) as empty:
        other = gateway_at(tmp_path / "two", demo_server, backups, {"REDIS_URL": empty.url})
        other.folder.mkdir()
        write_config(other.folder / "config.yaml", {}, other.section)
        restored = scalix(other, "backup", "restore", name)
        assert restored.returncode == 0, restored.stderr
        other.start()
        try:
            for user in USERS:
                kept = events(other, user)
                assert before[user].keys() <= kept.keys() <= after[user].keys()
                assert used(other, user) == (len(kept), sum(kept.values()))
            assert sum(map(len, after.values())) > sum(map(len, before.values())) + 50
            assert json.loads(scalix(other, "ledger", "verify", "--json").stdout)["whole"]
        finally:
            other.stop()
