"""After any amount of trouble the counters equal the provider's own log under the outcome table."""

import os
import re
import secrets
import signal
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import redis

from scalix.domain.ledger.ledger import event_of
from scalix.service.ledger.ledger_administration import PART_NAMES
from scalix.store.ledger.archive_files import day_index
from tests.demo_server import DemoServer
from tests.e2e.calls import Bench
from tests.e2e.chaos import Chaos
from tests.e2e.gateways import Gateway
from tests.store.today_truth import Truth

# Users' records, the index of their names, and the audit log, which is trimmed by age.
ENDLESS = re.compile(r":u:|\}:n$|\{audit\}:log$|:pseudonym-key$")
MONEY = ("requests", "provider_cost_usd", "charge_usd", "margin_usd")
SEED = int(os.environ.get("SCALIX_CHAOS_SEED", "20260226"))


def _agrees(chaos: Chaos, within_s: float = 10.0) -> None:
    bench = chaos.bench
    bench.counted_when(lambda counted: counted[2] == 0, within_s)
    sums = chaos.expected()
    requests, tokens, in_flight = bench.counted_when(
        lambda counted: counted[2] == 0 and counted[0] >= sums.least_requests, within_s
    )
    print(f"seed {chaos.seed}: {requests} requests, {tokens} tokens, expected {sums}, broken {len(chaos.broken)}")
    assert in_flight == 0
    assert sums.least_requests <= requests <= sums.most_requests
    assert sums.least_tokens <= tokens <= sums.most_tokens


def test_150_requests_with_every_trouble_are_counted_by_the_outcome_table(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], marker: str
) -> None:
    print(f"seed {SEED}")  # SCALIX_CHAOS_SEED runs another one
    chaos = Chaos(Bench(gateway, demo_server, http, new_user("roomy"), marker), SEED, 150)
    chaos.run()
    assert not chaos.broken
    _agrees(chaos)
    today, day = (http.get(f"/scalix/v1/reports/{name}").json() for name in ("today", "day"))
    (row,) = [row for row in day["rows"] if row["date"] == today["date"]]
    assert {name: today["day"][name] for name in MONEY} == {name: row[name] for name in MONEY}
    verified = http.get("/scalix/v1/ledger/verify", params={"day": today["date"]}).json()
    of_people = {PART_NAMES["people"], PART_NAMES["person"], PART_NAMES["first_bytes"]}
    assert [one for one in verified["differences"] if one["what"] in of_people] == []


def _today_says_what_all_events_say(http: httpx.Client, state: Path) -> None:
    today = http.get("/scalix/v1/reports/today").json()
    (path,) = state.rglob("*.sock")
    with redis.Redis(unix_socket_path=str(path), decode_responses=True) as client:
        events = [
            event_of(request_id, key.partition("}:e:")[2].rpartition(":")[0], text)
            for key in client.scan_iter("*}:e:*", count=1000)
            for request_id, text in client.hgetall(key).items()
        ]
    assert events
    truth = Truth(events)
    right = truth.of_day(day_index(today["date"]))
    tiers = right.pop("tiers")
    assert {name: today["day"][name] for name in right} == right
    found = {row["tier"]: {name: row[name] for name in tiers[row["tier"]]} for row in today["day"]["tiers"]}
    assert found == tiers
    verified = http.get("/scalix/v1/ledger/verify", params={"day": today["date"]}).json()
    assert verified["differences"] == []


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_1000_requests_with_every_trouble_and_a_worker_killed_midway(
    tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer
) -> None:
    seed = int.from_bytes(secrets.token_bytes(4)) if "SCALIX_CHAOS_SEED" not in os.environ else SEED
    print(f"seed {seed}")
    folder = tmp_path_factory.mktemp("chaos")
    gateway = Gateway(folder, demo_server.url, options=("--workers", "2")).start()
    try:
        with gateway.client() as http:
            user = f"user-{secrets.token_hex(6)}"
            asked = {"user_id": user, "tier": "roomy", "auto_create_key": False}  # a key is kept for good
            assert http.post("/user/new", json=asked).status_code == 200
            bench = Bench(gateway, demo_server, http, user, f"marker-{secrets.token_hex(6)}")
            chaos = Chaos(bench, seed, 1000, at_once=24)
            chaos.run(midway=lambda: os.kill(gateway.workers()[0].pid, signal.SIGKILL))
            assert chaos.broken
            # The dead worker's leases lapse after a minute, and the sweep looks every 15 s.
            _agrees(chaos, within_s=90.0)
            _today_says_what_all_events_say(http, folder / "state")
            assert _keys_without_an_end(folder / "state") == []
    finally:
        gateway.stop()


def _keys_without_an_end(state: Path) -> list[str]:
    (path,) = state.rglob("*.sock")
    with redis.Redis(unix_socket_path=str(path), decode_responses=True) as client:
        return [key for key in client.scan_iter(count=1000) if client.ttl(key) == -1 and not ENDLESS.search(key)]
