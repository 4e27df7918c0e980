"""The ledger is the provider's own log under the outcome table, whatever has happened, and agrees with itself."""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import httpx
import pytest
import redis

from scalix.domain.ledger.ledger import Detail, Event
from tests.demo_server import DemoServer
from tests.e2e.calls import STREAMED_WAYS, WAYS, Bench, Way
from tests.e2e.chaos import FATES
from tests.e2e.gateways import Gateway
from tests.e2e.ledger_soak import Soak, settled, store_of, store_process, verify
from tests.e2e.ledger_truth import ANY, Expected, Ledger, by_key, expected_of, mismatches
from tests.store.servers import Server, free_ports, running

SEED = int(os.environ.get("SCALIX_SOAK_SEED", "20261101"))
SOAK_REQUESTS = int(os.environ.get("SCALIX_SOAK_REQUESTS", "20000"))
SOAK_TIER = {"models": ["*"], "tokens": {"day": 10**9}, "requests": {"day": 10**8}, "on_store_failure": "allow"}


@pytest.fixture
def ledger(gateway: Gateway) -> Iterator[Ledger]:
    with store_of(gateway) as client:
        yield Ledger(client)


def told(disagreements: list[str]) -> int:
    """How many, each of them printed."""
    print(*disagreements, sep="\n")
    return len(disagreements)


def test_200_requests_of_every_kind_are_in_the_ledger_as_the_provider_logged_them(
    gateway: Gateway, demo_server: DemoServer, http: httpx.Client, new_user: Callable[..., str], ledger: Ledger
) -> None:
    print(f"seed {SEED}")  # SCALIX_SOAK_SEED runs another one
    users = [new_user("roomy") for _ in range(20)]
    soak = Soak(gateway, demo_server, http, users, f"marker-{secrets.token_hex(6)}", SEED, 200, at_once=12)
    soak.run()
    assert not soak.broken
    settled(ledger, 20)
    assert told(soak.disagreements(ledger, "user-")) == 0
    assert ledger.twice() == []
    found = verify(gateway, "--json")
    assert (found.returncode, json.loads(found.stdout)["differences"]) == (0, []), found.stderr
    name = next(store_of(gateway).scan_iter(f"scalix:{{s*:w:user:{users[0]}"))
    with store_of(gateway) as client:
        day = next(field for field in client.hkeys(name) if field.startswith("d"))
        kept = client.hget(name, day)
        client.hset(name, day, "999999 9 9 0 0 0")
        spoiled = verify(gateway, "--user", users[0])
        client.hset(name, day, str(kept))
    assert spoiled.returncode == 1
    assert "999999" in spoiled.stdout


INCLUDE_USAGE = [way for way in STREAMED_WAYS if way[0] in ("chat", "completions")]


def test_every_route_streamed_and_not_with_and_without_usage_is_in_the_ledger_once_by_its_id(
    gateway: Gateway,
    demo_server: DemoServer,
    http: httpx.Client,
    new_user: Callable[..., str],
    ledger: Ledger,
    marker: str,
) -> None:
    user = new_user("roomy")
    ids: dict[str, tuple[Way, str]] = {}
    ways = [
        *((way, {}) for way in WAYS),
        *((way, {"stream_options": {"include_usage": True}}) for way in INCLUDE_USAGE),
    ]
    for number, ((route, model, stream), more) in enumerate(ways):
        key = f"{marker}-{number:05d}-"
        bench = Bench(gateway, demo_server, http, user, key)
        answer = bench.post(route, "words=7 cached=2", model=model, stream=stream, **more)
        assert answer.status_code == 200, answer.text
        ids[answer.headers["x-request-id"]] = ((route, model, stream), key)
    events = {event.request_id: event for event in ledger.events(user)[user]}
    assert events.keys() == ids.keys()
    logged = by_key(demo_server.requests(contains=marker, settled=len(ways)), marker)
    for request_id, (way, key) in ids.items():
        event, (entry,) = events[request_id], logged[key]
        detail = event.detail
        assert (event.outcome, event.requests, detail.streamed) == ("success", 1, way[2]), way
        assert (detail.prompt_tokens, detail.completion_tokens) == (
            entry["prompt_tokens"],
            entry["completion_tokens"],
        ), way
        assert (detail.model, detail.served) == (way[1], way[1]), way
    assert ledger.twice() == []


def test_of_thousands_of_requests_that_are_alike_each_has_its_event_and_the_one_without_is_told() -> None:
    one = Event("", "user:a", 0, "", "success", 1, 9, 0, estimated=False, detail=Detail())
    events = [replace(one, request_id=str(number)) for number in range(2000)]
    whole = Expected("whole", frozenset({"success"}), (1, 1), (9, 9))
    broken = Expected("broken", ANY, (0, 1), (0, 300))
    assert mismatches([broken, *[whole] * 1999], events) == []
    assert mismatches([broken, *[whole] * 2000], events) == [f"no event for {whole}"]
    assert mismatches([broken, *[whole] * 1998], events) == [f"nothing asked for {events[-1]}"]


def in_flight_ways() -> list[tuple[Way, str]]:
    """50 requests that take a while: streams in the middle, and answers that are being thought of."""
    slow = {True: "words=40 gap_ms=40", False: "words=20 delay_ms=1500"}
    return [(way, slow[way[2]]) for way in (WAYS * 3)[:50]]


def test_sigterm_with_50_requests_in_flight_leaves_the_ledger_as_the_provider_logged_them(
    tmp_path_factory: pytest.TempPathFactory, demo_server: DemoServer
) -> None:
    folder, marker = tmp_path_factory.mktemp("sigterm"), f"marker-{secrets.token_hex(6)}"
    with running(Server(folder / "store", free_ports(1)[0])) as store:
        gateway = Gateway(folder, demo_server.url, extra={"REDIS_URL": store.url}).start()
        try:
            with gateway.client() as http:
                user = f"user-{secrets.token_hex(6)}"
                assert http.post("/user/new", json={"user_id": user, "tier": "roomy"}).status_code == 200
            process = gateway.launcher()
            keys = [f"{marker}-{number:05d}-" for number in range(50)]

            def one(asked: tuple[str, tuple[Way, str]]) -> int:
                key, ((route, model, stream), directives) = asked
                with gateway.client() as mine:
                    bench = Bench(gateway, demo_server, mine, user, key)
                    return bench.post(route, directives, model=model, stream=stream).status_code

            with ThreadPoolExecutor(50) as pool:
                sent = [pool.submit(one, asked) for asked in zip(keys, in_flight_ways(), strict=True)]
                while len(demo_server.requests(contains=marker, bodies=False)) < 50:
                    time.sleep(0.02)
                assert not all(future.done() for future in sent)
                process.send_signal(signal.SIGTERM)
                process.wait(30)
                statuses = [future.result() for future in sent]
        finally:
            gateway.stop()
        assert set(statuses) == {200}
        logged = by_key(demo_server.requests(contains=marker, settled=50), marker)
        expected = [expected_of(key, FATES[0], logged[key]) for key in keys]
        with redis.Redis.from_url(store.url, decode_responses=True) as client:
            ledger = Ledger(client)
            assert mismatches(expected, ledger.events(user)[user]) == []
            assert (ledger.twice(), ledger.in_flight()) == ([], 0)


@pytest.fixture(scope="module")
def soaked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, DemoServer]]:
    """A gateway of two workers with a chain of fallbacks, where everybody may do everything."""
    section = {
        "default_tier": "soak",
        "tiers": {"soak": SOAK_TIER},
        "prices": {},
        "fallbacks": {"gpt-4": ["claude-3-opus", "gemini-pro"]},
    }
    with DemoServer() as provider:
        gateway = Gateway(
            tmp_path_factory.mktemp("soak"), provider.url, options=("--workers", "2"), section=section
        ).start()
        yield gateway, provider
        gateway.stop()


@pytest.mark.soak
@pytest.mark.timeout(3000)
def test_20000_requests_with_a_worker_killed_and_the_store_restarted(soaked: tuple[Gateway, DemoServer]) -> None:
    gateway, provider = soaked
    seed = int.from_bytes(secrets.token_bytes(4)) if "SCALIX_SOAK_SEED" not in os.environ else SEED
    print(f"seed {seed}")
    users = [f"soak-{number}" for number in range(SOAK_REQUESTS // 10)]
    acts = {
        0.3: lambda: os.kill(gateway.workers()[0].pid, signal.SIGKILL),
        0.6: lambda: store_process(gateway).send_signal(signal.SIGTERM),
    }
    with gateway.client() as http:
        soak = Soak(gateway, provider, http, users, f"marker-{secrets.token_hex(6)}", seed, SOAK_REQUESTS, 24, acts)
        began = time.monotonic()
        soak.run()
        print(f"{SOAK_REQUESTS} requests in {time.monotonic() - began:.0f} s, {len(soak.broken)} broken")
    assert soak.broken
    with store_of(gateway) as client:
        ledger = Ledger(client)
        # The dead worker's leases lapse after a minute, and the sweep looks every 15 s.
        settled(ledger, 120)
        assert told(soak.disagreements(ledger, "soak-")) == 0
        assert ledger.twice() == []
    found = verify(gateway, "--json")
    assert (found.returncode, json.loads(found.stdout)["differences"]) == (0, []), found.stderr


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_a_store_killed_under_load_loses_no_more_than_its_stated_seconds(soaked: tuple[Gateway, DemoServer]) -> None:
    gateway, provider = soaked
    users = [f"killed-{number}" for number in range(50)]
    killed_s: list[float] = []

    def kill() -> None:
        killed_s.append(time.time())
        store_process(gateway).kill()

    with gateway.client() as http:
        soak = Soak(gateway, provider, http, users, f"marker-{secrets.token_hex(6)}", SEED, 1500, 16, acts={0.5: kill})
        soak.run()
    logged = by_key(provider.requests(contains=soak.marker, settled=1), soak.marker)
    ended = {key: max(float(entry["finished"]) for entry in entries) for key, entries in logged.items()}
    with store_of(gateway) as client:
        ledger = Ledger(client)
        settled(ledger, 120)
        lost = soak.disagreements(ledger, "killed-")
        assert ledger.twice() == []
    # An append-only file that is synced every second may miss the last two, and nothing else.
    near_the_kill = sum(killed_s[0] - 3 <= at_s <= killed_s[0] + 1 for at_s in ended.values())
    print(f"{len(lost)} of {soak.count} requests differ; {near_the_kill} ended within the seconds around the kill")
    assert len(lost) <= near_the_kill
    assert verify(gateway).returncode == 0
