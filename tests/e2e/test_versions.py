"""A gateway of the version before and one of now on one store: each admits what the other settles or sweeps."""

import json
import secrets
import shutil
import signal
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from scalix.domain.ledger.ledger import EVENT_VERSION, Event, event_of
from scalix.store.keys import Keys
from tests.demo_server import DemoServer
from tests.e2e.gateways import Gateway
from tests.e2e.loaded import hurried
from tests.e2e.versions import OfVersion, tree_of
from tests.store.servers import Server, free_ports, running, wait_for

# The last one whose events say no version.
BEFORE = "c42e507"
# Instead of the pause between two sweeps, so that no test has to wait for one.
SWEEP_EVERY_S = 0.2
KEYS = Keys("scalix:")
CONFIG = """
model_list:
  - model_name: a-model
    litellm_params: {model: openai/a-model, api_base: "${TEST_PROVIDER_URL}", api_key: "${TEST_PROVIDER_KEY}"}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
scalix:
  default_tier: paid
  tiers:
    paid: {models: ["*"], requests: {hour: 1000}, tokens: {day: 1000000}, on_store_failure: allow}
"""


@dataclass
class Served(OfVersion):
    """A gateway of either version, with a config that both know."""

    def start(self) -> "Served":
        self.folder.mkdir(parents=True)
        (self.folder / "config.yaml").write_text(CONFIG, encoding="utf-8")
        done = self.command("--detach", "--port", "0")
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{self.log_text()[-4000:]}"
        self.url = json.loads(self.command("--status", "--json").stdout)["address"]
        return self

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Its launcher and its worker do nothing meanwhile."""
        processes = [self.launcher(), *self.workers()]
        for process in processes:
            process.suspend()
        try:
            yield
        finally:
            for process in reversed(processes):
                process.resume()


@dataclass(frozen=True)
class Versions:
    """Both gateways, and the store that they have in common."""

    old: Served
    new: Served
    store: Server

    def events(self, user: str) -> dict[str, tuple[str, Event]]:
        """A user's events of today, as texts and as they are read."""
        subject = f"user:{user}"
        texts = self.store.admin.hgetall(KEYS.events(subject, time.time_ns() // 1_000_000))
        return {name: (text, event_of(name, subject, text)) for name, text in texts.items()}

    def outcomes(self, user: str) -> list[str]:
        return sorted(event.outcome for _, event in self.events(user).values())

    def in_flight(self, user: str) -> list[str]:
        return list(self.store.admin.hkeys(KEYS.in_flight(f"user:{user}")))


def _of_before(folder: Path) -> Path:
    tree_of(BEFORE, folder)
    settlement = folder / "scalix" / "service" / "exchange" / "settlement.py"
    text = settlement.read_text(encoding="utf-8")
    assert "\nSWEEP_EVERY_S = 15.0\n" in text
    settlement.write_text(text.replace("SWEEP_EVERY_S = 15.0", f"SWEEP_EVERY_S = {SWEEP_EVERY_S}"), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def versions(tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer) -> Iterator[Versions]:
    folder = tmp_path_factory.mktemp("versions")
    with running(Server(folder / "store", free_ports(1)[0])) as store:
        extra = {"REDIS_URL": store.url, **hurried(folder, SWEEP_EVERY_S=SWEEP_EVERY_S)}
        old = Served(folder / "old", demo_server.url, extra=extra, root=_of_before(folder / "tree"))
        new = Served(folder / "new", demo_server.url, extra=extra)
        try:
            with ThreadPoolExecutor(2) as both:
                list(both.map(Served.start, (old, new)))
            yield Versions(old, new, store)
        finally:
            for gateway in (old, new):
                gateway.stop()


def _body(user: str, text: str) -> dict[str, object]:
    return {"model": "a-model", "user": user, "messages": [{"role": "user", "content": text}]}


def _begun(gateway: Gateway, user: str) -> socket.socket:
    """A stream that the provider does not end before its client has gone."""
    address = urlsplit(gateway.url)
    body = json.dumps(_body(user, "[[demo hang_after=2]] hello") | {"stream": True}).encode()
    client = socket.create_connection((address.hostname, address.port))
    client.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        + f"Authorization: Bearer {gateway.master_key}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return client


@pytest.mark.parametrize("admits", ["old", "new"])
def test_what_one_version_admits_the_other_settles_and_sweeps_and_both_read_the_same_ledger(
    versions: Versions, admits: str
) -> None:
    here, there = (versions.old, versions.new) if admits == "old" else (versions.new, versions.old)
    version_here, version_there = (1, EVENT_VERSION) if admits == "old" else (EVENT_VERSION, 1)
    user = f"u-{secrets.token_hex(4)}"
    with here.client() as http, there.client() as elsewhere:
        http.post("/user/credit", json={"user_id": user, "amount_usd": 1, "credit_id": "c1"}).raise_for_status()
        # Given a request that both versions serve, one more that is begun here, and a key of each
        keys = [client.post("/key/generate", json={"user_id": user}).json()["key"] for client in (http, elsewhere)]
        for client in (http, elsewhere):
            client.post("/v1/chat/completions", json=_body(user, "hello")).raise_for_status()
        for gateway, key in zip((here, there), reversed(keys), strict=True):
            with gateway.client(key) as with_key:
                with_key.post("/v1/chat/completions", json=_body(user, "hello")).raise_for_status()
        begun = _begun(here, user)
        wait_for(lambda: len(versions.in_flight(user)) == 1, "the request to be admitted")
        (swept,) = versions.in_flight(user)
        # and one that is let through here while the store is away, so that it is in the journal
        assert versions.store.process is not None
        versions.store.process.send_signal(signal.SIGSTOP)
        try:
            http.post("/v1/chat/completions", json=_body(user, "hello")).raise_for_status()
            (journal,) = _settlements(here)
            told = there.state_dir / "journal" / f"told-{secrets.token_hex(4)}"
            shutil.copy(journal, told)
            frozen = here.frozen()
            frozen.__enter__()
        finally:
            versions.store.process.send_signal(signal.SIGCONT)
        # When only the other one goes on, with that journal, and the lease has ended
        told.rename(told.with_suffix(".journal"))
        leases = KEYS.leases(f"user:{user}")
        for member in versions.store.admin.zrange(leases, 0, -1):
            versions.store.admin.zadd(leases, {member: 1})
        # Then it settles the one and sweeps the other
        _eventually(lambda: versions.outcomes(user) == ["success"] * 5 + ["swept"])
        text, event = versions.events(user)[swept]
        assert event.version == version_there
        assert (text.split(" ")[23:26], event.detail.charge_nano_usd > 0) == (["0", "0", "1"], True)
        # When the first one goes on, and the swept request ends after all
        frozen.__exit__(None, None, None)
        begun.close()
        # Then its own settlement takes the place of the sweep, and what the journal still tells counts once
        _eventually(lambda: versions.outcomes(user) == ["client_cut"] + ["success"] * 5)
        _eventually(lambda: not _settlements(here) and not versions.in_flight(user))
        events = {name: event for name, (_, event) in versions.events(user).items()}
        assert events[swept].version == version_here
        assert {event.version for event in events.values()} == {1, EVENT_VERSION}
        balance = versions.store.admin.hgetall(KEYS.balance(f"user:{user}"))
        charged = sum(event.detail.charge_nano_usd for event in events.values())
        assert (int(balance["nano"]), balance["held"]) == (10**9 - charged, "0")
        # and both find the books whole, and every event in them
        day = time.strftime("%Y-%m-%d", time.gmtime(min(event.admitted_ms for event in events.values()) / 1000))
        for client in (http, elsewhere):
            found = client.get("/scalix/v1/ledger/verify", params={"day": day}).json()
            assert (found["whole"], found["differences"]) == (True, []), found
            shown = client.get("/scalix/v1/usage/events", params={"user_id": user, "from": day}).json()["events"]
            assert {one["id"] for one in shown} == events.keys()
            assert sorted(one["outcome"] for one in shown) == ["client_cut", *["success"] * 5]


def _settlements(gateway: Gateway) -> list[Path]:
    """Its journals that hold a settlement."""
    return [path for path in (gateway.state_dir / "journal").glob("*.journal") if b'"success"' in path.read_bytes()]


def _eventually(holds: Callable[[], bool], within_s: float = 60.0) -> None:
    ends_s = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < ends_s, "it did not come to pass"
        time.sleep(0.1)
