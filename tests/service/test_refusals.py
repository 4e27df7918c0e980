"""The error that a refused caller reads, word for word."""

from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from scalix.domain.error_statuses import status_of
from scalix.domain.errors import GatewayError
from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Ask, Prices, Refused, Tally, Verdict
from scalix.domain.policy import Tier
from scalix.edge.errors import error_body, error_headers
from scalix.service.exchange.refusals import refusal
from scalix.service.identity.callers import Caller

NOW_MS = int(datetime(2026, 2, 10, 22, 29, 30, 500_000, tzinfo=UTC).timestamp() * 1000)
URL = "https://scalix.world/pricing"
REQUESTS_HOUR = Limit(Metric.REQUESTS, Window.HOUR, 10)
REQUESTS_DAY = Limit(Metric.REQUESTS, Window.DAY, 50)
TOKENS_DAY = Limit(Metric.TOKENS, Window.DAY, 10_000)
SPEND_MONTH = Limit(Metric.SPEND, Window.MONTH, 100_000_000)
MARCH = "2026-03-01T00:00:00Z"


def refused(
    *limits: tuple[Limit, Verdict], tallies: dict[Window, Tally] | None = None, url: str | None = URL, **changes: Any
) -> GatewayError:
    values: dict[str, Any] = {"prompt_tokens": 84, "output_cap_tokens": 500, "min_output_tokens": 16, **changes}
    concurrent = values.pop("concurrent", None)
    in_flight = values.pop("in_flight", 0)
    given = Limits(tuple(limit for limit, _ in limits), concurrent)
    tier = Tier("free", values.pop("of_the_tier", given), upgrade_url=url)
    caller = Caller(Subject("user", "alice"), tier, given)
    verdicts = tuple(verdict for _, verdict in limits)
    decision = Refused(NOW_MS, verdicts, concurrent is not None, tallies or {}, in_flight)
    return refusal(caller, Ask("r1", "user:alice", given, **values), decision)


def headers(error: GatewayError) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in error_headers(error)}


def test_used_up_requests() -> None:
    error = refused(
        (REQUESTS_HOUR, Verdict.EXHAUSTED),
        (REQUESTS_DAY, Verdict.FITS),
        tallies={Window.HOUR: Tally(requests_used=9, requests_held=1), Window.DAY: Tally(requests_used=9)},
    )
    assert status_of(error) == 429
    assert orjson.loads(error_body(error)) == {
        "error": {
            "message": "You have used all 10 requests per hour on the free tier. Try again in 31 minutes, at "
            "2026-02-10T23:00:00Z. More is available at https://scalix.world/pricing.",
            "type": "rate_limit_error",
            "param": None,
            "code": "rate_limit_exceeded",
            "scalix": {
                "tier": "free",
                "limit": "requests-hour",
                "limit_value": 10,
                "used": 10,
                "reset_at": "2026-02-10T23:00:00Z",
                "upgrade_url": URL,
            },
        }
    }
    assert headers(error) == {"retry-after": "1830", "x-should-retry": "false"}
    assert error.tier == "free"
    assert [state.remaining for state in error.windows] == [0, 41]


def test_of_several_exhausted_windows_the_one_that_resets_last_is_told() -> None:
    error = refused(
        (REQUESTS_HOUR, Verdict.EXHAUSTED),
        (REQUESTS_DAY, Verdict.EXHAUSTED),
        (TOKENS_DAY, Verdict.RESERVED),
        tallies={Window.HOUR: Tally(requests_used=10), Window.DAY: Tally(requests_used=50)},
    )
    assert error.details["limit"] == "requests-day"
    assert headers(error)["retry-after"] == str(3600 + 1830)


def test_used_up_tokens() -> None:
    error = refused((TOKENS_DAY, Verdict.EXHAUSTED), tallies={Window.DAY: Tally(tokens_used=9_950)})
    assert error.code == "insufficient_quota"
    assert error.message == (
        "You have used 9950 of 10000 tokens per day on the free tier, and this request needs about 100. "
        "Try again in 1 hour 31 minutes, at 2026-02-11T00:00:00Z. More is available at https://scalix.world/pricing."
    )
    assert headers(error) == {"retry-after": "5430", "x-should-retry": "false"}
    assert orjson.loads(error_body(error))["error"]["type"] == "insufficient_quota"


def test_a_prompt_that_no_empty_window_could_take_is_told_to_be_shorter() -> None:
    error = refused((TOKENS_DAY, Verdict.EXHAUSTED), prompt_tokens=20_000)
    assert error.message == (
        "This request needs about 20016 tokens, more than the 10000 per day on the free tier. Shorten the prompt. "
        "More is available at https://scalix.world/pricing."
    )


def test_money_that_is_spent() -> None:
    prices = Prices(input_pico_usd_per_token=1_000_000, output_pico_usd_per_token=3_000_000)
    error = refused(
        (SPEND_MONTH, Verdict.EXHAUSTED), tallies={Window.MONTH: Tally(nano_usd_used=99_990_000)}, prices=prices
    )
    assert error.code == "insufficient_quota"
    assert error.message == (
        "You have spent 0.09999 of 0.1 USD per month on the free tier, and this request needs about 0.000132. "
        f"Try again in 19 days, at {MARCH}. More is available at https://scalix.world/pricing."
    )
    assert (error.details["used"], error.details["limit_value"]) == (0.09999, 0.1)
    dear = refused((SPEND_MONTH, Verdict.EXHAUSTED), prices=Prices(request_nano_usd=2_000_000_000), url=None)
    assert dear.message == (
        "This request needs about 2 USD, more than the 0.1 per month on the free tier. "
        "Shorten the prompt or use a cheaper model."
    )
    assert "upgrade_url" not in dear.details


def test_what_own_requests_hold_may_be_tried_again_soon() -> None:
    error = refused((TOKENS_DAY, Verdict.RESERVED), tallies={Window.DAY: Tally(tokens_used=100, tokens_held=9_900)})
    assert error.code == "quota_reserved"
    assert error.message == (
        "What is left of tokens-day on the free tier is reserved by your own requests in flight. "
        "Try again when they have ended."
    )
    assert (error.details["used"], error.details["limit_value"]) == (100, 10_000)
    assert headers(error) == {"retry-after": "1", "x-should-retry": "true"}


def test_too_many_at_once() -> None:
    error = refused((REQUESTS_HOUR, Verdict.FITS), concurrent=2, in_flight=2)
    assert error.code == "rate_limit_exceeded"
    assert error.message == (
        "You have 2 requests in flight, the most that the free tier allows. Wait for one to end, then try again."
    )
    assert error.details == {
        "tier": "free",
        "limit": "concurrent",
        "limit_value": 2,
        "used": 2,
        "reset_at": None,
        "upgrade_url": URL,
    }
    assert headers(error) == {"retry-after": "1", "x-should-retry": "false"}


def test_a_limit_that_is_not_enforced_is_never_the_reason() -> None:
    shadow = Limit(Metric.REQUESTS, Window.DAY, 1, enforce=False)
    error = refused((shadow, Verdict.EXHAUSTED), (REQUESTS_HOUR, Verdict.EXHAUSTED))
    assert error.details["limit"] == "requests-hour"


@pytest.mark.parametrize(("before_reset_ms", "seconds"), [(1, "1"), (999, "1"), (1_000, "1"), (1_001, "2")])
def test_retry_after_is_rounded_up_to_whole_seconds(before_reset_ms: int, seconds: str) -> None:
    end_ms = int(datetime(2026, 2, 10, 23, tzinfo=UTC).timestamp()) * 1000
    caller = Caller(Subject("user", "alice"), Tier("free"), Limits())
    ask = Ask("r1", "user:alice", Limits((REQUESTS_HOUR,)), 1, 1, 1)
    error = refusal(caller, ask, Refused(end_ms - before_reset_ms, (Verdict.EXHAUSTED,), False, {}, 0))
    assert headers(error)["retry-after"] == seconds


def test_a_limit_that_was_set_for_the_user_is_not_said_to_be_the_tiers() -> None:
    used_up = refused((REQUESTS_HOUR, Verdict.EXHAUSTED), of_the_tier=Limits((REQUESTS_DAY,)))
    assert used_up.message.startswith("You have used all 10 requests per hour set for you. Try again in")
    held = refused((TOKENS_DAY, Verdict.RESERVED), of_the_tier=Limits())
    assert held.message.startswith("What is left of tokens-day set for you is reserved by your own requests")
    full = refused(concurrent=2, in_flight=2, of_the_tier=Limits())
    assert full.message.startswith("You have 2 requests in flight, the most that is set for you.")
