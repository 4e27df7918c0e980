"""HAProxy, three gateways and a store that fails over carry a load while each part is changed, fails and comes back."""

import asyncio
import secrets
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import Gateway
from tests.operate.books import all_went_well, books_agree, limit_held, settled
from tests.operate.load import Load, Sent
from tests.operate.topology import Installation
from tests.store.sentinels import Watched
from tests.store.servers import Cluster, running

pytestmark = [pytest.mark.operate, pytest.mark.timeout(600)]
PAID = {"models": ["*"], "tokens": {"day": 50_000_000}, "requests": {"day": 1_000_000}, "on_store_failure": "allow"}
EXACT = {"models": ["*"], "requests": {"day": 60}, "on_store_failure": "deny"}
# A worker that has not seen a user before the store goes takes it for one of the default tier: that one denies, and
# the users are so few that each worker has seen each.
USERS = 8
TIERS = {"default_tier": "exact", "tiers": {"paid": PAID, "exact": EXACT}, "prices": {"markup": {"paid": 1}}}
LIMIT = 60
# After each act: when the slowest requests have to be as fast as before all of them again, and how long that is seen.
CALM_AFTER_S, SEEN_FOR_S = 10.0, 5.0
Store = Cluster | Watched


@dataclass(frozen=True)
class Course:
    """How much is asked for how long, and when each act begins."""

    seconds: float
    streams: int
    stream_s: float
    rate: float
    kill_s: float
    again_s: float
    reload_s: float
    lose_s: float
    renew_s: float
    drain_s: float

    @property
    def sees_calm(self) -> bool:
        """Whether it goes on long enough after its last act to be seen as fast as before."""
        return self.seconds > self.drain_s + CALM_AFTER_S + SEEN_FOR_S


WHOLE = Course(100, 100, 60, 100, kill_s=8, again_s=12, reload_s=30, lose_s=40, renew_s=52, drain_s=56)
# For a look within two minutes.
SHORT = Course(32, 20, 15, 60, kill_s=3, again_s=4, reload_s=14, lose_s=18, renew_s=23, drain_s=25)


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


def _cluster(folder: Path) -> Cluster:
    return Cluster(folder, replicas=1)


@pytest.mark.parametrize(
    ("course", "store_of"),
    [(SHORT, _cluster), (WHOLE, _cluster), (WHOLE, Watched)],
    ids=["short", "cluster", "sentinel"],
)
def test_everything_is_changed_killed_and_renewed_under_load(
    tmp_path: Path, demo_server: DemoServer, course: Course, store_of: Callable[[Path], Store]
) -> None:
    with running(store_of(tmp_path / "store")) as store:
        installation = Installation(tmp_path, demo_server.url, {"SCALIX_DRAIN_S": "90", "REDIS_URL": store.url}, TIERS)
        with installation.running():
            marker = f"marker-{secrets.token_hex(6)}"
            users = [f"{marker}-user-{number}" for number in range(USERS if course is WHOLE else 2)]
            exact = f"exact-{secrets.token_hex(6)}"
            installation.add_users({exact: "exact", **dict.fromkeys(users, "paid")})
            timeline = Timeline(_acts(installation, store, course))
            load = Load(installation.proxy.url, installation.proxy.authority.file, marker)
            limited = Load(installation.proxy.url, installation.proxy.authority.file, exact)

            async def all_of_it() -> None:
                timeline.start()
                await asyncio.gather(
                    load.run(
                        seconds=course.seconds,
                        streams=course.streams,
                        stream_s=course.stream_s,
                        rate=course.rate,
                        users=users,
                    ),
                    limited.run(seconds=course.seconds, streams=0, stream_s=0, rate=3, users=[exact]),
                )

            asyncio.run(all_of_it())
            timeline.join(120)
            lost, lost_of_limited = (_lost(one.sent, timeline.at["kill"]) for one in (load, limited))
            _tell(load, limited, timeline, lost, course)
            assert not timeline.failed, timeline.failed
            all_went_well(load.sent, lost)
            # A third of the streams were there, and of the short requests those of a moment.
            assert len(lost) < course.streams * 2 / 3
            # Where a connection of before ends without an answer, HAProxy ends the client's likewise and logs nothing.
            assert installation.proxy.broken_off() == {
                "gateway-3": sum(one.status != 0 for one in lost + lost_of_limited)
            }
            ledger = settled(store.client())
            limit_held(limited, ledger, LIMIT, lost_of_limited)
            books_agree(load, demo_server, ledger, lost)
            books_agree(limited, demo_server, ledger, lost_of_limited)
            if course.sees_calm:
                _soon_as_fast_as_before(load, timeline, course)


def _acts(installation: Installation, store: Store, course: Course) -> list[tuple[float, str, Callable[[], Any]]]:
    _, two, three = installation.gateways

    def drain_and_start() -> None:
        two.stop()
        _again(two)

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
        (course.kill_s, "kill", lambda: installation.kill(2)),
        (course.again_s, "start the killed one again", lambda: _again(three)),
        (course.reload_s, "reload", reload_all),
        (course.lose_s, "lose a master", store.lose_a_master),
        (course.renew_s, "renew the certificate", renew),
        # Of a cluster, the node that was lost is the first that REDIS_URL names.
        (course.drain_s, "drain one and start it again", drain_and_start),
    ]


def _again(gateway: Gateway) -> None:
    """Start a gateway that was there; its config stays as it is."""
    done = gateway.command("--detach", *gateway.options)
    assert done.returncode == 0, done.stdout + done.stderr


def _serial_in_force(installation: Installation) -> int:
    import cryptography.x509

    text = ssl.get_server_certificate(("localhost", installation.proxy.port))
    return cryptography.x509.load_pem_x509_certificate(text.encode()).serial_number


def _lost(sent: list[Sent], kill: tuple[float, float]) -> list[Sent]:
    """What was on the killed gateway: it broke off in the moment of its end. To find its processes takes a while."""
    begun_s, done_s = kill
    return [
        one for one in sent if not one.is_whole and one.begun_s < done_s + 0.5 and begun_s < one.ended_s < done_s + 3
    ]


def _soon_as_fast_as_before(load: Load, timeline: Timeline, course: Course) -> None:
    first_s = load.sent[0].begun_s
    usual_s = load.slowest_hundredth_s(first_s + 3, first_s + 8)
    for name, (_, done_s) in timeline.at.items():
        calm_s = done_s + CALM_AFTER_S
        assert calm_s + SEEN_FOR_S < first_s + course.seconds, f"{name} took so long that nothing was seen after it"
        after = load.slowest_hundredth_s(calm_s, calm_s + SEEN_FOR_S)
        assert after < max(1.0, 3 * usual_s), f"ten seconds after {name}: {after:.2f} s, before {usual_s:.2f} s"


def _tell(load: Load, limited: Load, timeline: Timeline, lost: list[Sent], course: Course) -> None:
    start_s = load.sent[0].begun_s
    print({name: (round(begun - start_s, 1), round(done - start_s, 1)) for name, (begun, done) in timeline.at.items()})
    print(len(load.sent), "sent", Counter((one.status, one.code, one.is_whole) for one in load.sent), len(lost), "lost")
    print("limited", Counter((one.status, one.code) for one in limited.sent))
    print(
        [round(load.slowest_hundredth_s(start_s + s, start_s + s + 5), 2) for s in range(0, int(course.seconds) - 5, 5)]
    )
