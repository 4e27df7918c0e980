"""HAProxy, three gateways and a cluster carry a load while each part of them is changed, fails and comes back."""

import asyncio
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.ledger.ledger import Event
from tests.demo_server import DemoServer
from tests.e2e.chaos import Fate
from tests.e2e.gateways import Gateway
from tests.e2e.ledger_truth import Ledger, by_key, expected_of, mismatches
from tests.operate.load import Load, Sent
from tests.operate.topology import Installation
from tests.store.servers import Cluster, running

pytestmark = [pytest.mark.operate, pytest.mark.timeout(600)]
SECONDS, STREAMS, STREAM_S, RATE = 75.0, 100, 60.0, 30.0
PAID = {"models": ["*"], "tokens": {"day": 50_000_000}, "requests": {"day": 1_000_000}, "on_store_failure": "allow"}
EXACT = {"models": ["*"], "requests": {"day": 60}, "on_store_failure": "deny"}
TIERS = {"default_tier": "paid", "tiers": {"paid": PAID, "exact": EXACT}, "prices": {"markup": {"paid": 1}}}
LIMIT = 60
SWEPT_WITHIN_S = 100.0


class Timeline(threading.Thread):
    """What happens meanwhile, each at its second; `at` has when it was begun and when it was done."""

    def __init__(self, acts: list[tuple[float, str, Callable[[], Any]]]) -> None:
        super().__init__(daemon=True)
        self._acts = acts
        self.at: dict[str, tuple[float, float]] = {}
        self.failed: list[BaseException] = []

    def run(self) -> None:
        start_s = time.monotonic()
        for due_s, name, act in self._acts:
            time.sleep(max(0.0, start_s + due_s - time.monotonic()))
            begun_s = time.monotonic()
            try:
                act()
            except BaseException as error:
                self.failed.append(error)
            self.at[name] = begun_s, time.monotonic()


def test_everything_is_changed_killed_and_renewed_under_load(tmp_path: Path, demo_server: DemoServer) -> None:
    variables = {"SCALIX_DRAIN_S": "90"}
    with running(Cluster(tmp_path / "cluster", replicas=1)) as cluster:
        variables["REDIS_URL"] = cluster.url
        installation = Installation(tmp_path, demo_server.url, variables, TIERS)
        with installation.running():
            marker = f"marker-{secrets.token_hex(6)}"
            users = [f"{marker}-user-{number}" for number in range(8)]
            exact = f"exact-{secrets.token_hex(6)}"
            with installation.gateways[0].client() as http:
                for user, tier in ((exact, "exact"), *((user, "paid") for user in users)):
                    made = http.post("/user/new", json={"user_id": user, "tier": tier, "auto_create_key": False})
                    assert made.status_code == 200, made.text
            timeline = Timeline(_acts(installation, cluster))
            load = Load(installation.proxy.url, installation.proxy.authority.file, marker)
            limited = Load(installation.proxy.url, installation.proxy.authority.file, exact)

            async def all_of_it() -> None:
                timeline.start()
                await asyncio.gather(
                    load.run(seconds=SECONDS, streams=STREAMS, stream_s=STREAM_S, rate=RATE, users=users),
                    limited.run(seconds=SECONDS, streams=0, stream_s=0, rate=3, users=[exact]),
                )

            asyncio.run(all_of_it())
            timeline.join(120)
            lost = _lost(load.sent, timeline.at["kill"][0])
            _tell(load, limited, timeline, lost)
            assert not timeline.failed, timeline.failed
            _nothing_else_went_wrong(load.sent, lost)
            _limit_held(limited.sent, timeline.at["kill"][0])
            ledger = _settled(cluster)
            _books_agree(load, lost, demo_server, ledger)
            _books_agree(limited, _lost(limited.sent, timeline.at["kill"][0]), demo_server, ledger)
            _soon_as_fast_as_before(load, timeline)


def _acts(installation: Installation, cluster: Cluster) -> list[tuple[float, str, Callable[[], Any]]]:
    _, two, three = installation.gateways

    def drain_and_start() -> None:
        two.stop()
        two.start()

    def reload_all() -> None:
        for gateway in installation.gateways:
            text = (gateway.folder / "config.yaml").read_text()
            assert "50000000" in text
            (gateway.folder / "config.yaml").write_text(text.replace("50000000", "50000001"))
        with ThreadPoolExecutor() as pool:
            done = list(pool.map(lambda gateway: gateway.command("--reload"), installation.gateways))
        assert [result.returncode for result in done] == [0, 0, 0], [result.stdout + result.stderr for result in done]

    def renew() -> None:
        serial = installation.proxy.renew_certificate()
        deadline_s = time.monotonic() + 10
        while _serial_in_force(installation) != serial:
            assert time.monotonic() < deadline_s, "the new certificate is not in force"
            time.sleep(0.1)

    return [
        (8.0, "kill", lambda: installation.kill(2)),
        (12.0, "start the killed one again", lambda: _again(three)),
        (30.0, "reload", reload_all),
        (40.0, "lose a master", lambda: cluster.masters[1].kill()),
        (52.0, "renew the certificate", renew),
        (56.0, "drain one and start it again", drain_and_start),
    ]


def _again(gateway: Gateway) -> None:
    """Start a gateway that was killed; its config stays as it is."""
    done = gateway.command("--detach", *gateway.options)
    assert done.returncode == 0, done.stdout + done.stderr


def _serial_in_force(installation: Installation) -> int:
    import cryptography.x509

    text = ssl.get_server_certificate(("localhost", installation.proxy.port))
    return cryptography.x509.load_pem_x509_certificate(text.encode()).serial_number


def _lost(sent: list[Sent], killed_s: float) -> list[Sent]:
    """What was on the killed gateway: it broke off in the moment of its end."""
    return [one for one in sent if not one.is_well and one.begun_s < killed_s + 0.5 and one.ended_s < killed_s + 3.0]


def _nothing_else_went_wrong(sent: list[Sent], lost: list[Sent]) -> None:
    wrong = [one for one in sent if not one.is_well and one not in lost]
    assert not wrong, Counter((one.status, one.code, bool(one.events)) for one in wrong)
    # A third of the streams were there, and of the short requests those of a moment.
    assert len(lost) < STREAMS * 2 / 3


def _limit_held(sent: list[Sent], killed_s: float) -> None:
    refused = Counter(one.code for one in sent if one.status not in (0, 200))
    served = sum(one.is_well for one in sent)
    broken = len(_lost(sent, killed_s))
    assert served <= LIMIT <= served + broken + refused["store_unavailable"], refused
    assert set(refused) <= {"rate_limit_exceeded", "store_unavailable"} or broken, refused


def _settled(cluster: Cluster) -> Ledger:
    """The ledger, when nothing is in flight any more."""
    client: Any = import_module("redis.cluster").RedisCluster.from_url(cluster.url, decode_responses=True)
    ledger = Ledger(client)
    deadline_s = time.monotonic() + SWEPT_WITHIN_S
    while ledger.in_flight() > 0:
        assert time.monotonic() < deadline_s, "requests are still in flight"
        time.sleep(0.5)
    assert ledger.twice() == []
    return ledger


def _books_agree(load: Load, lost: list[Sent], provider: DemoServer, ledger: Ledger) -> None:
    entries = by_key(provider.requests(contains=load.marker), load.marker)
    broken = {one.key for one in lost}
    wrong: list[str] = []
    for user in sorted({one.user for one in load.sent}):
        events: list[Event] = ledger.events(user).get(user, [])
        expected = [
            expected_of(one.key, Fate("success", ""), entries.get(one.key, ()), is_broken=one.key in broken)
            for one in load.sent
            if one.user == user and (one.key in entries or one.key in broken)
        ]
        wrong += mismatches(expected, events)
    assert wrong == [], "\n".join(wrong[:6] + wrong[-6:])


def _soon_as_fast_as_before(load: Load, timeline: Timeline) -> None:
    first_s = load.sent[0].begun_s
    usual_s = load.slowest_hundredth_s(first_s + 3, first_s + 8)
    for name, (_, done_s) in timeline.at.items():
        after = load.slowest_hundredth_s(done_s + 10, done_s + 15) if done_s + 15 < first_s + SECONDS else 0.0
        assert after < max(1.0, 3 * usual_s), f"ten seconds after {name}: {after:.2f} s, before {usual_s:.2f} s"


def _tell(load: Load, limited: Load, timeline: Timeline, lost: list[Sent]) -> None:
    start_s = load.sent[0].begun_s
    print({name: (round(begun - start_s, 1), round(done - start_s, 1)) for name, (begun, done) in timeline.at.items()})
    print(len(load.sent), "sent", Counter((one.status, one.code, one.is_whole) for one in load.sent), len(lost), "lost")
    print("limited", Counter((one.status, one.code) for one in limited.sent))
    print([round(load.slowest_hundredth_s(start_s + s, start_s + s + 5), 2) for s in range(0, int(SECONDS) - 5, 5)])
