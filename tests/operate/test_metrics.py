"""What watches the gateway, with a real Prometheus: each rule fires when its condition is caused, none does in a quiet
time, and every panel of the dashboards has data."""

import contextlib
import random
import resource
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import orjson
import psutil
import pytest

from tests.authority import Authority
from tests.operate.tools import ROOT
from tests.operate.watched_world import FAILS, PLACES, World, config, signal_of, watched
from tests.operate.watching import meanwhile, soon

pytestmark = pytest.mark.operate


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with watched(tmp_path_factory.mktemp("watched")) as made:
        yield made


@pytest.fixture(autouse=True)
def well() -> Iterator[None]:
    FAILS.clear()
    yield
    FAILS.clear()


def test_in_a_quiet_time_no_alert_fires(world: World) -> None:
    """Half a minute at the speed at which the rules run here is more than ten of theirs."""
    ask = world.one.ask
    seen: set[str] = set()
    soon(lambda: world.watching.query('up{job="scalix"} == 1'), "nothing is scraped")
    end_s = time.monotonic() + 35
    while time.monotonic() < end_s:
        assert ask() == 200
        assert ask(stream=True) == 200
        seen |= world.watching.firing()
    assert not seen
    assert world.watching.value("min_over_time(scrape_duration_seconds[30s])") < 0.05
    assert 50 < world.watching.value("max_over_time(scrape_samples_scraped[30s])") <= 1_500


def test_failures_that_a_fallback_saves_are_told_and_nobody_calls_them_failed_requests(world: World) -> None:
    FAILS["saved"] = 503

    def ask() -> None:
        world.one.ask("saved")
        time.sleep(0.7)  # most are not tried there, as it rests

    with meanwhile(ask):
        world.fires("ScalixProviderFailing")
        assert "ScalixRequestsFailing" not in world.watching.firing()
    found = world.one.scrape()
    assert found['scalix_provider_errors_total{provider="openai",error="provider_down"}'] > 0
    assert 'scalix_requests_total{model="saved",tier="free",outcome="provider_failed"}' not in found


def test_requests_that_fail_for_good(world: World) -> None:
    FAILS["dead"] = 500
    with meanwhile(lambda: world.one.ask("dead")):
        world.fires("ScalixRequestsFailing")


def test_a_deployment_that_fails_its_checks(world: World) -> None:
    FAILS["checked"] = 500
    world.fires("ScalixDeploymentDown", within_s=90)


def test_a_refused_key_and_no_model_that_answers(world: World) -> None:
    FAILS.update(dict.fromkeys(PLACES, 401))
    with meanwhile(lambda: [world.one.ask(model) for model in PLACES], threads=2):
        world.fires("ScalixProviderAccount", "ScalixModelsOutOfService", "ScalixModelResting", within_s=90)
    FAILS.clear()
    soon(lambda: world.one.ask() == 200, "nobody is served again")


def test_more_is_used_than_was_reserved(world: World) -> None:
    with meanwhile(lambda: world.one.ask("greedy")):
        world.fires("ScalixOvershoot")


def test_a_flood_of_wrong_keys(world: World) -> None:
    def wrong() -> None:
        with world.one.client("sk-nobody-has-this") as http:
            http.post("/v1/chat/completions", json={"model": "steady", "messages": []})
        time.sleep(0.05)

    with meanwhile(wrong, threads=2):
        world.fires("ScalixWrongKeys")


def test_a_gateway_that_fails_itself(world: World) -> None:
    """A record that it can't read, as after something else has written into the store."""
    with world.one.client() as http:
        assert http.post("/user/new", json={"user_id": "torn"}).status_code == 200
    store = world.store.admin
    (record,) = store.scan_iter(match="*:u:user:torn")
    store.hset(record, mapping={"limits": "{", "version": "1"})
    with meanwhile(lambda: world.one.ask(user="torn")):
        world.fires("ScalixGatewayErrors")


def test_a_full_line(world: World) -> None:
    with meanwhile(lambda: world.one.ask("slow"), threads=30):
        world.fires("ScalixQueueFull", "ScalixRequestsWaiting", within_s=90)


def test_streams_that_begin_late(world: World) -> None:
    with meanwhile(lambda: world.one.ask("late", stream=True), threads=3):
        world.fires("ScalixFirstByteSlow", within_s=90)


def test_a_loop_that_is_held_up(world: World) -> None:
    worker = world.one.workers()[0]

    def hold_up() -> None:
        worker.send_signal(signal.SIGSTOP)
        time.sleep(0.6)
        worker.send_signal(signal.SIGCONT)
        time.sleep(0.15)

    with meanwhile(hold_up):
        world.fires("ScalixLoopLag")


def test_a_slow_store(world: World) -> None:
    assert world.store.process
    process = psutil.Process(world.store.process.pid)

    def hold_up() -> None:
        process.send_signal(signal.SIGSTOP)
        time.sleep(0.1)
        process.send_signal(signal.SIGCONT)
        time.sleep(0.2)

    with meanwhile(hold_up), meanwhile(world.one.ask, threads=4):
        world.fires("ScalixStoreSlow")


def test_a_store_that_is_nearly_full(world: World) -> None:
    used = world.store.admin.info("memory")["used_memory"]
    world.store.admin.config_set("maxmemory", int(used * 1.15))
    world.fires("ScalixStoreMemory")
    world.store.admin.config_set("maxmemory", 0)


def test_a_store_that_was_emptied(world: World) -> None:
    world.store.admin.flushall()
    world.fires("ScalixStoreEmptied")


def test_a_store_that_is_away_what_waits_for_it_and_a_disk_that_takes_nothing(world: World) -> None:
    world.store.kill()
    workers = world.one.workers()
    with meanwhile(world.one.ask, threads=2):
        world.fires("ScalixStoreAway", "ScalixJournalPending")
        hard = [one.rlimit(psutil.RLIMIT_FSIZE)[1] for one in workers]
        for one in workers:
            one.rlimit(psutil.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
        world.fires("ScalixJournalWithoutRoom")
        for one, limit in zip(workers, hard, strict=True):
            one.rlimit(psutil.RLIMIT_FSIZE, (limit, limit))
    world.store.start()
    soon(lambda: "ScalixStoreAway" not in world.watching.firing(), "the store is not found again")
    soon(lambda: not world.one.scrape()["scalix_journal_pending_bytes"], "the journal is not replayed")


def test_workers_that_die_and_their_requests_and_counters_that_are_those_of_the_ledger(world: World) -> None:
    def requests() -> float:
        found = world.one.scrape()
        ended = sum(value for name, value in found.items() if name.startswith("scalix_requests_total"))
        return ended + found["scalix_requests_swept_total"]

    def in_ledger() -> int:
        with world.one.client() as http:
            rows = http.get("/scalix/v1/reports/model").json()["rows"]
        return sum(int(row["requests"]) for row in rows)

    world.store.admin.flushall()  # the ledger begins here, and the counters have begun before
    soon(lambda: world.one.ask() == 200, "nobody is served")
    soon(lambda: world.one.scrape()["scalix_requests_in_flight"] == 0, "requests are left")
    before = requests() - in_ledger()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(world.one.ask) for _ in range(2_000)]
        [one.result() for one in asked]
        hung = [pool.submit(world.one.ask, "slow") for _ in range(4)]
        soon(lambda: world.one.scrape()["scalix_reservations_open"] == 4, "the requests do not hang")
        for _ in range(3):
            for worker in world.one.workers():
                with contextlib.suppress(psutil.NoSuchProcess):
                    worker.kill()
            soon(lambda: world.one.ask() == 200, "no worker comes again")
            soon(lambda: world.one.scrape()["scalix_workers"] == 2, "one worker does not come again")
        assert {one.result() for one in hung} == {0}
    world.fires("ScalixWorkerRestarts")
    world.fires("ScalixRequestsSwept", within_s=120)
    soon(lambda: requests() - before == in_ledger(), "the counters are not those of the ledger", within_s=60)
    assert in_ledger() > 2_000


def test_the_signal_of_the_hpa_doubles_with_the_load(world: World) -> None:
    query = signal_of("scalix_requests_in_flight")
    signals = []
    for threads in (4, 8):
        with meanwhile(lambda: world.one.ask("slow"), threads=threads):
            time.sleep(12)  # as long as the average is of
            signals.append(world.watching.value(query))
    assert signals[0] == pytest.approx(4, abs=1.2)
    assert signals[1] == pytest.approx(2 * signals[0], rel=0.35)


def test_the_lag_s_signal_of_the_hpa_doubles_with_what_holds_the_loops_up(world: World) -> None:
    """Each worker is held up for 0.2 s at irregular moments, for four tenths of the time, then for eight."""
    workers, chance = world.one.workers(), random.Random(11)

    def hold_up(longest_s: float) -> None:
        for signalled, pause_s in ((signal.SIGSTOP, 0.2), (signal.SIGCONT, chance.uniform(0, longest_s))):
            for worker in workers:
                worker.send_signal(signalled)
            time.sleep(pause_s)

    signals = []
    for longest_s in (0.6, 0.1):
        with meanwhile(lambda longest_s=longest_s: hold_up(longest_s)):  # type: ignore[misc]
            time.sleep(40)  # the gauge is of 15 s, its average of 20 more
            signals.append(world.watching.value(signal_of("scalix_loop_lag_seconds", "20s")))
    assert signals[0] == pytest.approx(0.04, abs=0.02)
    assert signals[1] == pytest.approx(2 * signals[0], rel=0.45)


def has_data(world: World, query: str) -> bool:
    end_s = time.monotonic() + 15
    while time.monotonic() < end_s:
        if world.watching.query(query):
            return True
        time.sleep(0.5)
    return False


def test_every_query_of_the_dashboards_has_data(world: World) -> None:
    empty: dict[str, list[str]] = {}
    FAILS["saved"] = 503
    small = world.one.client()
    small.post("/user/new", json={"user_id": "poor", "tier": "small"})
    with meanwhile(lambda: [world.one.ask("saved"), world.one.ask(stream=True), world.one.ask(user="poor")]):
        for path in sorted((ROOT / "deploy" / "grafana" / "dashboards").glob("*.json")):
            panels = orjson.loads(path.read_bytes())["panels"]
            asked = [
                target["expr"].replace("$__rate_interval", "30s") for panel in panels for target in panel["targets"]
            ]
            for query in asked:
                if not has_data(world, query):
                    empty.setdefault(path.stem, []).append(query)
    small.close()
    assert not empty


def test_an_instance_of_another_version(world: World) -> None:
    older = world.gateway("older", config())
    older.extra = {**older.extra, "SCALIX_APP": "tests.operate.older_version:create_app"}
    older.start()
    world.watching.watch(older)
    try:
        world.fires("ScalixVersionDiffers")
    finally:
        older.stop()


def test_what_comes_with_another_instance_that_is_not_cared_for_and_an_instance_that_goes_away(world: World) -> None:
    with world.one.client() as http:
        assert http.post("/key/generate", json={"duration": "2d", "user_id": "u"}).status_code == 200
    routes = {"auto": {"custom_router": "broken:choose", "free": {"models": ["steady"]}}}
    two = world.gateway("two", config(routes=routes, backup={"to": str(world.folder / "backups")}))
    two.folder.mkdir()
    (two.folder / "broken.py").write_text("def choose(*given, **named):\n    raise ValueError\n")
    together = Authority(world.folder).issue_together(world.folder / "two.pem", days=0.1)
    two.extra = {**two.extra, "SCALIX_TLS_CERTIFICATE": str(together)}
    two.start()
    world.watching.watch(two)
    try:
        world.fires("ScalixKeysExpiring", "ScalixConfigDiffers", "ScalixCertificateExpires")
        with meanwhile(lambda: two.ask("auto")):
            world.fires("ScalixCustomRouterOff")
        world.fires("ScalixBackupOld", within_s=120)
    finally:
        two.stop()
    world.fires("ScalixInstanceDown")
