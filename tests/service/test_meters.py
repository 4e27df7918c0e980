"""What is counted of requests: within a bound of series, without a word of a client's, and what it costs."""

import asyncio
import math
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.failures import ErrorClass
from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.quota import Charge, Outcome
from scalix.domain.metric_families import FAMILIES, family_of
from scalix.domain.policy import Model, Policy, Tier
from scalix.edge.metrics import page_of
from scalix.service.metrics.gauges import Gauges, LoopLag
from scalix.service.metrics.meters import RESULTS, Meters, merged
from scalix.service.policy_source import PolicySource
from scalix.store.metric_cells import MetricCells, MetricFiles

ROOT = Path(__file__).resolve().parent.parent.parent
TIERS = ("free", "pro", "premium")
PROVIDERS = ("openai", "anthropic", "gemini", "deepseek", "openrouter")
CODES = ("rate_limit_exceeded", "insufficient_quota", "invalid_api_key", "model_not_found", "overloaded", "ip_blocked")


def policy(models: int) -> Policy:
    made = [Model(f"model-{n}", f"{PROVIDERS[n % len(PROVIDERS)]}/m-{n}") for n in range(models)]
    return Policy({name: Tier(name) for name in TIERS}, "free", {model.name: model for model in made})


def detail(model: str, tier: str = "free", provider: str = "openai", **more: object) -> Detail:
    known: dict[str, object] = {"prompt_tokens": 7, "completion_tokens": 5, "cached_tokens": 2, "latency_ms": 900}
    known |= {"cost_nano_usd": 10, "charge_nano_usd": 15, "engine": "direct", "deployment": model, "first_token_ms": 90}
    return Detail(tier=tier, model=model, provider=provider, served=model, **{**known, **more})  # type: ignore[arg-type]


@pytest.fixture
def source() -> PolicySource:
    return PolicySource(policy(50))


@pytest.fixture
def meters(tmp_path: Path, source: PolicySource) -> Iterator[Meters]:
    made = Meters(tmp_path / "metrics", source)
    yield made
    made.close()


def shown(meters: Meters, folder: Path) -> list[str]:
    page = page_of(merged(MetricFiles(folder / "metrics").read())).body.decode()
    return [line for line in page.splitlines() if not line.startswith("#")]


def everything(meters: Meters, source: PolicySource) -> None:
    """Each outcome of each model in each tier, each class of errors of each deployment, and all gauges there are."""
    for model in source.current.models.values():
        errors = tuple(f"{model.name}:litellm:{error}" for error in ErrorClass)
        for tier in TIERS:
            for outcome in set(Outcome) - {Outcome.SWEPT}:
                one = detail(model.name, tier, model.provider, failed_deployments=errors, fallbacks=(model.name,))
                meters.settled(Charge(outcome, 1, 12, 10, detail=one), 5)
    for code in CODES:
        meters.refused(code)
    for name in ("queued", "called"):
        getattr(meters, name)(0.1)
    for is_failing in (True, False):
        meters.checked(is_failing)
    labels = {"deployment": [*source.current.models], "name": ["a", "b"]}
    gauges = [one for one in FAMILIES.values() if one.kind == "gauge"]
    meters.publish(
        [
            (one.name, (value,) if value else (), 1)
            for one in gauges
            for value in labels.get("".join(one.labels), one.labels or ("",))
        ]
    )


def test_fifty_models_in_three_tiers_with_every_outcome_and_error_are_at_most_1500_series(
    meters: Meters, source: PolicySource, tmp_path: Path
) -> None:
    everything(meters, source)
    found = shown(meters, tmp_path)
    assert {family_of(line.rpartition(" ")[0]) for line in found} == set(FAMILIES.values())
    assert 1_200 < len(found) <= 1_500


def test_an_answer_that_broke_off_is_a_failure_of_its_deployment_and_provider(meters: Meters, tmp_path: Path) -> None:
    broken = [detail("model-1", provider="anthropic", error=str(error)) for error in (ErrorClass.NETWORK, "")]
    for one in broken:
        meters.settled(Charge(Outcome.PROVIDER_BROKE, 1, 12, 10, detail=one), 0)
    found = shown(meters, tmp_path)
    assert 'scalix_provider_errors_total{provider="anthropic",error="network"} 1.0' in found
    assert 'scalix_provider_errors_total{provider="anthropic",error="unclassified"} 1.0' in found
    assert [line for line in found if "deployment_attempts" in line] == [
        'scalix_deployment_attempts_total{deployment="model-1",result="failed"} 2.0'
    ]


def test_names_that_nobody_has_configured_add_no_series(meters: Meters, source: PolicySource, tmp_path: Path) -> None:
    everything(meters, source)
    junk = detail("junk", provider="junk", failed_deployments=("junk:litellm:timeout",), fallbacks=("junk",))
    for model in ("junk", *(f"junk-{number}" for number in range(10_000))):
        one = detail(model, provider=model, failed_deployments=(f"{model}:direct:timeout",), fallbacks=(model,))
        meters.settled(Charge(Outcome.SUCCESS, 1, 12, 10, detail=one), 0)
        if model == "junk":
            before = len(shown(meters, tmp_path))
    meters.settled(Charge(Outcome.SUCCESS, 1, 12, 10, detail=junk), 0)
    found = shown(meters, tmp_path)
    assert len(found) == before
    assert 'scalix_requests_total{model="other",tier="free",outcome="success"} 10002.0' in found
    for number in range(10_000):
        meters.refused(f"junk-{number}")
    assert len(shown(meters, tmp_path)) < before + 100
    assert "junk-9999" not in "".join(shown(meters, tmp_path))


def test_a_scrape_of_four_workers_with_all_series_is_made_within_50_ms(
    meters: Meters, source: PolicySource, tmp_path: Path
) -> None:
    everything(meters, source)
    others = [Meters(tmp_path / "metrics", source) for _ in range(3)]
    for other in others:
        everything(other, source)
    files, took_s = MetricFiles(tmp_path / "metrics"), []
    for _ in range(10):
        began_s = time.perf_counter()
        page_of(merged(files.read()))
        took_s.append(time.perf_counter() - began_s)
    assert min(took_s) < 0.05
    for other in others:
        other.close()


def test_counters_go_on_where_a_worker_has_ended_and_its_gauges_are_gone(
    meters: Meters, source: PolicySource, tmp_path: Path
) -> None:
    other = Meters(tmp_path / "metrics", source)
    for one in (meters, other):
        one.refused("overloaded")
        one.publish([("requests_in_flight", (), 4), ("loop_lag_seconds", (), 0.5 if one is other else 0.1)])
    assert 'scalix_refusals_total{code="overloaded"} 2.0' in shown(meters, tmp_path)
    assert {"scalix_requests_in_flight 8.0", "scalix_loop_lag_seconds 0.5"} <= set(shown(meters, tmp_path))
    other.close()
    assert {"scalix_requests_in_flight 4.0", "scalix_loop_lag_seconds 0.1"} <= set(shown(meters, tmp_path))
    next_one = Meters(tmp_path / "metrics", source)
    next_one.refused("overloaded")
    assert 'scalix_refusals_total{code="overloaded"} 3.0' in shown(meters, tmp_path)
    assert "scalix_requests_in_flight 4.0" in shown(meters, tmp_path)
    next_one.close()


def test_a_gauge_that_is_not_published_any_more_is_gone(meters: Meters, tmp_path: Path) -> None:
    meters.publish([("deployment_cooling", ("a",), 1)])
    assert 'scalix_deployment_cooling{deployment="a"} 1.0' in shown(meters, tmp_path)
    meters.publish([])
    assert not [line for line in shown(meters, tmp_path) if "cooling" in line]


def test_a_model_of_a_reload_has_a_series_of_its_own(meters: Meters, source: PolicySource, tmp_path: Path) -> None:
    source.replace(policy(60))
    meters.settled(Charge(Outcome.SUCCESS, 1, 12, 10, detail=detail("model-59")), 0)
    assert 'scalix_requests_total{model="model-59",tier="free",outcome="success"} 1.0' in shown(meters, tmp_path)


def test_what_is_used_beyond_the_reservation_is_overshoot(meters: Meters, tmp_path: Path) -> None:
    for reserved in (0, 12, 10):
        meters.settled(Charge(Outcome.SUCCESS, 1, 12, 10, detail=detail("model-1")), reserved)
    assert {"scalix_overshoots_total 1.0", "scalix_overshoot_tokens_total 2.0"} <= set(shown(meters, tmp_path))


def test_every_outcome_of_the_ledger_is_counted() -> None:
    assert set(RESULTS) == set(Outcome)


def test_the_buckets_of_a_histogram_add_up(meters: Meters, tmp_path: Path) -> None:
    for seconds in (0.0, 0.05, 0.2, 100.0):
        meters.queued(seconds)
    found = [line.removeprefix("scalix_queued_seconds") for line in shown(meters, tmp_path) if "queued_s" in line]
    assert found == [
        '_bucket{le="0.05"} 2.0',
        *(f'_bucket{{le="{bound}"}} 3.0' for bound in (0.25, 1.0, 2.5, 5.0, 10.0, 30.0)),
        '_bucket{le="+Inf"} 4.0',
        "_sum 100.25",
        "_count 4.0",
    ]


def test_counting_a_request_calls_nobody_but_its_own_few_functions(meters: Meters) -> None:
    charge = Charge(Outcome.SUCCESS, 1, 12, 10, detail=detail("model-1"))
    meters.settled(charge, 100)
    calls: list[str] = []
    sys.setprofile(lambda frame, event, arg: calls.append(event) if "call" in event else None)
    meters.settled(charge, 100)
    sys.setprofile(None)
    assert len(calls) < 50  # some 4 us
    assert isinstance(meters.cells, MetricCells)


def test_the_lag_of_the_loop_is_an_average_and_the_worst() -> None:
    lag = LoopLag()
    for late_s in (0.0, 0.3, -0.1, 0.1):
        lag.note(late_s)
    assert {name: value for name, _, value in lag.gauges()} == pytest.approx(
        {"loop_lag_seconds": 0.1, "loop_lag_worst_seconds": 0.3}
    )


class HeldUpEachSecond(asyncio.SelectorEventLoop):
    """An event loop whose time only its waits take, and that is held up from each full second on for 0.2 s."""

    def __init__(self) -> None:
        super().__init__(Waits(self))
        self.now_s = 0.0

    def time(self) -> float:
        return self.now_s


class Waits(selectors.SelectSelector):
    def __init__(self, loop: HeldUpEachSecond) -> None:
        super().__init__()
        self.loop = loop

    def select(self, timeout: float | None = None) -> Any:
        until_s = self.loop.now_s + (timeout or 0)
        self.loop.now_s = max(until_s, math.floor(until_s) + 0.2)
        return super().select(0)


def test_what_holds_up_the_loop_at_regular_moments_is_met_as_often_as_it_takes_time() -> None:
    lag = LoopLag()
    late_s: list[float] = []
    lag.note = late_s.append  # type: ignore[assignment,method-assign]

    async def run() -> None:
        for _ in range(500):
            await lag.run()

    loop = HeldUpEachSecond()
    loop.run_until_complete(run())
    loop.close()
    met = sum(one_s > 0.001 for one_s in late_s) / len(late_s)
    assert met == pytest.approx(0.2, abs=0.05)
    assert sum(late_s) / len(late_s) == pytest.approx(0.2 * 0.1, abs=0.006)


def test_gauges_of_other_parts_are_published_with_those_of_the_worker(meters: Meters, tmp_path: Path) -> None:
    gauges = Gauges(meters)
    gauges.sources.append(lambda: [("certificate_expires_timestamp_seconds", (), 5)])
    gauges.publish()
    assert {"scalix_certificate_expires_timestamp_seconds 5.0", "scalix_workers 1.0"} <= set(shown(meters, tmp_path))


COUNTS = """
import asyncio
import math
import selectors
import subprocess
import sys
from pathlib import Path
from typing import Any
from tests.service.test_meters import *
meters = Meters(Path(sys.argv[1]), PolicySource(policy(3)))
charge = Charge(Outcome.SUCCESS, 1, 12, 10, detail=detail("model-1"))
for _ in range(100_000):
    meters.settled(charge, 100)
print(flush=True)
sys.stdin.read()
"""


def test_of_100_000_requests_of_a_worker_that_is_killed_none_is_missing(meters: Meters, tmp_path: Path) -> None:
    command = [sys.executable, "-c", COUNTS, str(tmp_path / "metrics")]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT)
    assert worker.stdout
    worker.stdout.readline()
    worker.kill()
    worker.communicate()
    meters.settled(Charge(Outcome.SUCCESS, 1, 12, 10, detail=detail("model-1")), 100)
    found = shown(meters, tmp_path)
    assert 'scalix_requests_total{model="model-1",tier="free",outcome="success"} 100001.0' in found
    assert 'scalix_tokens_total{model="model-1",kind="completion"} 500005.0' in found
