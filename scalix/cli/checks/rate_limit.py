"""`--test rate-limit`: the first request over the hour's limit is refused as it should be, and only for its user."""

import re
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scalix.cli.checks.bench import HOUR_S, Bench, cheapest, expect
from scalix.cli.checks.report import Failed, Skipped, passes
from scalix.launch.http_client import Answer

LIMIT = "requests-hour"
MOST_REQUESTS = 200
MAX_TOKENS = 16
RETRY_AFTER_TOLERANCE_S = 1.0
MOST_PROVIDER_FAILURES = 3
MOST_WAIT_S = 20.0


@dataclass
class RateLimitChecks:
    """The checks in their order, over what one run up to the limit has seen; over a second one when the hour turns
    during the first. `hours` are those of its first and its last answer."""

    bench: Bench
    limit: int = 0
    succeeded: int = 0
    refusal: Answer = field(init=False)
    hours: tuple[int, int] = (0, 0)
    own: dict[str, Any] = field(default_factory=dict)
    other_before: dict[str, Any] = field(default_factory=dict)
    other_after: dict[str, Any] = field(default_factory=dict)

    def run(self) -> None:
        """Run them all."""
        check = self.bench.report.check
        within = "as many successes within the hour as the tier has requests"
        if not check("rate-limit", "requests within the limit", within, self._up_to_the_limit):
            return
        limit = self.limit
        check("rate-limit", f"request {limit + 1}", f"429 rate_limit_exceeded by {LIMIT}", self._refused)
        check("rate-limit", "Retry-After", "the end of the hour, within 1 s", self._retry_after)
        check("rate-limit", "x-should-retry", "false", self._should_retry)
        check("rate-limit", "refused request", f"not counted: {limit} requests this hour", self._not_counted)
        check("rate-limit", "another user", "the same counters before and after", self._other_user)

    def _up_to_the_limit(self) -> str:
        for _ in range(2):
            self.succeeded, self.hours = 0, (0, 0)
            try:
                self._try()
            except Failed:
                if not self._turned:
                    raise
            if not self._turned:
                return f"{self.succeeded} of {self.limit} requests answered with 200"
        raise Skipped("the hour turned twice during the check: the provider is too slow for it")

    @property
    def _turned(self) -> bool:
        return self.hours[0] != self.hours[1]

    def _try(self) -> None:
        bench = self.bench
        user, other = bench.new_user("free"), bench.new_user("free")
        model = cheapest(bench.models(user))
        first = self._chat(other, model)
        start = int(bench.clock(first)[0] // HOUR_S)
        self.hours = (start, self._hour(first))
        self.limit = _hourly_limit(expect(first, 200))
        self.other_before = bench.info(other)
        while self.succeeded < self.limit:
            answer = self._chat(user, model)
            self.hours = (start, self._hour(answer))
            if answer.code == "insufficient_quota":
                used_up = answer.field("error", "scalix", "limit")
                raise Skipped(f"{used_up} is used up after {self.succeeded} requests, before {LIMIT}")
            if answer.status != 200:
                saw = f"{self.succeeded} of {self.limit} requests answered with 200, then "
                try:
                    expect(answer, 200)
                except Failed as failed:
                    raise Failed(saw + str(failed)) from None
            self.succeeded += 1
        self.refusal = bench.chat(user, model, max_tokens=MAX_TOKENS)
        self.own, self.other_after = bench.info(user), bench.info(other)
        end = bench.client.get("/health/liveliness", with_key=False)
        self.hours = (start, self._hour(end))

    def _chat(self, user: str, model: str) -> Answer:
        """One request. A provider's short failures, which are not counted, are waited out."""
        for _ in range(MOST_PROVIDER_FAILURES):
            answer = self.bench.chat(user, model, max_tokens=MAX_TOKENS)
            if answer.code != "provider_unavailable":
                return answer
            time.sleep(min(_seconds(answer.headers.get("retry-after")) or 0, MOST_WAIT_S))
        return self.bench.chat(user, model, max_tokens=MAX_TOKENS)

    def _hour(self, answer: Answer) -> int:
        return int(self.bench.clock(answer)[1] // HOUR_S)

    def _refused(self) -> str:
        answer = expect(self.refusal, 429, "rate_limit_exceeded")
        limit = answer.field("error", "scalix", "limit")
        passes(limit == LIMIT, f"{answer.told} (limit {limit})")
        return answer.told

    def _retry_after(self) -> str:
        answer = self.refusal
        told, reset_at = answer.headers.get("retry-after"), answer.field("error", "scalix", "reset_at")
        retry_after_s, reset_s = _seconds(told), _unix_time(reset_at)
        if retry_after_s is None or reset_s is None:
            raise Failed(f"Retry-After {told}, reset_at {reset_at}")
        earliest_s, latest_s = self.bench.clock(answer)
        end_s = (latest_s // HOUR_S + 1) * HOUR_S
        seen = f"Retry-After {told}, reset_at {reset_at}, {end_s - latest_s:.1f} s before the end of the hour"
        least = end_s - latest_s - RETRY_AFTER_TOLERANCE_S
        most = end_s - earliest_s + RETRY_AFTER_TOLERANCE_S
        return passes(reset_s == end_s and least <= retry_after_s <= most, seen)

    def _should_retry(self) -> str:
        value = self.refusal.headers.get("x-should-retry")
        return passes(value == "false", str(value))

    def _not_counted(self) -> str:
        counted = self.own["usage"].get("requests_this_hour")
        return passes(counted == self.limit, f"{counted} requests this hour")

    def _other_user(self) -> str:
        before, after = self.other_before["usage"], self.other_after["usage"]
        passes(before == after, f"{before} before, {after} after")
        return f"{after.get('requests_this_hour')} request and {after.get('tokens_today')} tokens before and after"


def _hourly_limit(answer: Answer) -> int:
    """The hour's limit in `RateLimit-Policy`. Raises `Skipped` where another limit would refuse before it."""
    policy = answer.headers.get("ratelimit-policy", "")
    limits = {name: int(value) for name, value in re.findall(r'"([\w-]+)";q=(\d+)', policy)}
    hourly = limits.get(LIMIT)
    if hourly is None:
        raise Skipped(f"tier {answer.headers.get('x-scalix-tier')} has no limit {LIMIT} (RateLimit-Policy: {policy})")
    for name, value in limits.items():
        if name.startswith("requests-") and name != LIMIT and value <= hourly:
            raise Skipped(f"{name} of {value} is reached no later than {LIMIT} of {hourly}")
    if hourly > MOST_REQUESTS:
        raise Skipped(
            f"{LIMIT} is {hourly}, so this would cost {hourly + 1} requests; to run it, write a limit of at most "
            f"{MOST_REQUESTS} for the hour under scalix.tiers.free.requests in litellm_proxy_config.yaml and restart"
        )
    return hourly


def _seconds(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _unix_time(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
