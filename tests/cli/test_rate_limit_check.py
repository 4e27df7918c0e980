"""How the rate-limit check judges: the turn of the hour, limits it does not fit, wrong refusals, other clocks."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from scalix.cli.checks.bench import HOUR_S, Bench
from scalix.cli.checks.rate_limit import RateLimitChecks
from scalix.cli.checks.report import Report
from scalix.launch.http_client import Answer, Client, Fields

# 2026-11-23 09:00:00 UTC, and half past.
HOUR = 1_795_424_400
HALF_PAST = HOUR + HOUR_S // 2


@dataclass
class Clockwork(Client):
    """A gateway in miniature with a clock of its own, `ahead_s` before the checker's. An answer takes `step_s`."""

    now_s: float = HALF_PAST
    step_s: float = 0.01
    ahead_s: float = 0.0
    limit: int = 10
    policy: str = ""
    retry_after_error_s: int = 0
    counts_refusals: bool = False
    counters: Counter[tuple[str, int]] = field(default_factory=Counter)

    def send(
        self, method: str, path: str, body: Fields = None, *, with_key: bool = True, timeout_s: float = 1.0
    ) -> Answer:
        asked = body or {}
        sent_s = self.now_s - self.ahead_s
        self.now_s += self.step_s / 2
        status, headers, answer = self._answer(path, asked)
        self.now_s += self.step_s / 2
        return Answer(status, headers, json.dumps(answer).encode(), sent_s, self.now_s - self.ahead_s)

    def _answer(self, path: str, asked: Mapping[str, Any]) -> tuple[int, dict[str, str], dict[str, Any]]:
        hour = int(self.now_s // HOUR_S)
        if path == "/v1/chat/completions":
            return self._chat(asked["user"], hour)
        if path.startswith("/user/info"):
            used = self.counters[path.split("=")[1], hour]
            return 200, {}, {"tier": "free", "limits": [], "usage": {"requests_this_hour": used, "tokens_today": used}}
        return 200, {}, {"data": [{"id": "free-gemini-flash"}]}

    def _chat(self, user: str, hour: int) -> tuple[int, dict[str, str], dict[str, Any]]:
        end_s = (hour + 1) * HOUR_S
        if self.counters[user, hour] < self.limit:
            self.counters[user, hour] += 1
            policy = self.policy or f'"requests-hour";q={self.limit};w=3600, "tokens-day";q=10000;w=86400'
            return 200, {"ratelimit-policy": policy, "x-scalix-tier": "free"}, {"usage": {"total_tokens": 1}}
        self.counters[user, hour] += self.counts_refusals
        retry_after_s = -int(-(end_s - self.now_s) // 1) + self.retry_after_error_s
        reset_at = datetime.fromtimestamp(end_s, UTC).isoformat().replace("+00:00", "Z")
        error = {"code": "rate_limit_exceeded", "scalix": {"limit": "requests-hour", "reset_at": reset_at}}
        return 429, {"retry-after": str(retry_after_s), "x-should-retry": "false"}, {"error": error}


def run(gateway: Clockwork, skew_s: float = 0.0) -> Report:
    report = Report(lambda line: None, "sk-any")
    RateLimitChecks(Bench(gateway, report, skew_s=skew_s)).run()
    return report


def results(report: Report) -> dict[str, str]:
    return {check.name: check.result for check in report.checks}


@pytest.mark.parametrize("limit", [1, 10, 200])
def test_a_right_gateway_passes_whatever_its_limit(limit: int) -> None:
    report = run(Clockwork(limit=limit))
    assert set(results(report).values()) == {"ok"}, report.checks
    assert f"request {limit + 1}" in results(report)


@pytest.mark.parametrize("before_s", [0.005, 0.03, 0.07, 0.12, 0.135, 0.15])
def test_the_turn_of_the_hour_in_the_middle_starts_it_again(before_s: float) -> None:
    gateway = Clockwork(now_s=HOUR + HOUR_S - before_s)
    report = run(gateway)
    assert set(results(report).values()) == {"ok"}, report.checks


def test_a_provider_too_slow_for_one_hour_says_nothing_about_the_limit() -> None:
    report = run(Clockwork(step_s=600))
    assert results(report) == {"requests within the limit": "skipped"}
    assert "the hour turned twice" in report.checks[0].seen


def test_a_large_limit_is_left_alone_and_told_how_to_lower() -> None:
    gateway = Clockwork(limit=201)
    report = run(gateway)
    assert results(report) == {"requests within the limit": "skipped"}
    assert "would cost 202 requests" in report.checks[0].seen
    assert "scalix.tiers.free.requests in litellm_proxy_config.yaml" in report.checks[0].seen
    assert sum(gateway.counters.values()) == 1


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ('"tokens-day";q=10000;w=86400', "has no limit requests-hour"),
        ('"requests-hour";q=10;w=3600, "requests-minute";q=5;w=60', "requests-minute of 5 is reached no later"),
    ],
)
def test_a_tier_whose_hour_cannot_be_reached_is_skipped(policy: str, words: str) -> None:
    report = run(Clockwork(policy=policy))
    assert results(report) == {"requests within the limit": "skipped"}
    assert words in report.checks[0].seen


@pytest.mark.parametrize("error_s", [-3, -2, 2, 3, 3600])
def test_a_retry_after_that_is_off_by_more_than_a_second_fails(error_s: int) -> None:
    report = run(Clockwork(now_s=HALF_PAST + 0.5, retry_after_error_s=error_s))
    assert [name for name, result in results(report).items() if result == "FAILED"] == ["Retry-After"]


def test_a_refusal_that_is_counted_fails() -> None:
    report = run(Clockwork(counts_refusals=True))
    assert results(report)["refused request"] == "FAILED"


@pytest.mark.parametrize("ahead_s", [-4000.0, 4000.0])
def test_a_clock_of_its_own_is_no_fault_of_the_gateway(ahead_s: float) -> None:
    report = run(Clockwork(ahead_s=ahead_s), skew_s=ahead_s + 1.0)
    assert set(results(report).values()) == {"ok"}, report.checks
