"""What a process may refuse without asking the store, and when it has to ask again."""

from dataclasses import replace
from datetime import UTC, datetime

from scalix.domain.errors import GatewayError
from scalix.domain.identity.subjects import Subject
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Ask, Receipt, Refused, Tally, Verdict
from scalix.domain.policy import Tier
from scalix.service.exchange.known_refusals import KnownRefusals
from scalix.service.identity.callers import Caller
from scalix.store.base import UserRecord

NOW_MS = int(datetime(2026, 2, 10, 22, 29, 30, tzinfo=UTC).timestamp() * 1000)
HOUR = Limit(Metric.REQUESTS, Window.HOUR, 10)
DAY = Limit(Metric.TOKENS, Window.DAY, 1000)
LIMITS = Limits((HOUR, DAY))
CALLER = Caller(Subject("user", "alice"), Tier("free"), LIMITS)
ASK = Ask("r1", "user:alice", LIMITS, prompt_tokens=84, output_cap_tokens=500, min_output_tokens=16, user_version="v1")
USED_UP = Refused(
    NOW_MS,
    (Verdict.EXHAUSTED, Verdict.FITS),
    False,
    {Window.HOUR: Tally(requests_used=10), Window.DAY: Tally(tokens_used=300)},
    0,
)


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def learned(
    refused: Refused = USED_UP, ask: Ask = ASK, times: int = 2, callers: int = 10
) -> tuple[KnownRefusals, Clock]:
    clock = Clock()
    known = KnownRefusals(clock, callers=callers)
    for _ in range(times):
        known.learn(ask, refused)
    return known, clock


def refused(known: KnownRefusals, ask: Ask = ASK) -> GatewayError:
    error = known.refusal(CALLER, ask)
    assert error is not None
    return error


def test_the_first_refusal_is_not_known_yet_so_that_an_upgrade_made_elsewhere_holds_at_once() -> None:
    known, _ = learned(times=1)
    assert known.refusal(CALLER, ASK) is None


def test_a_used_up_caller_is_refused_with_the_time_that_is_left() -> None:
    known, clock = learned(replace(USED_UP, now_ms=NOW_MS - 200))
    assert refused(known).retry_after_s == 1831
    clock.now_s += 0.4
    error = refused(known)
    assert (error.code, error.retry_after_s) == ("rate_limit_exceeded", 1830)
    assert error.details["reset_at"] == "2026-02-10T23:00:00Z"
    assert [(state.limit.name, state.remaining) for state in error.windows] == [
        ("requests-hour", 0),
        ("tokens-day", 700),
    ]


def test_the_store_is_asked_again_after_half_a_second_and_the_next_are_known_again() -> None:
    known, clock = learned()
    clock.now_s += 0.49
    assert known.refusal(CALLER, ASK) is not None
    clock.now_s += 0.01
    assert known.refusal(CALLER, ASK) is None
    known.learn(ASK, USED_UP)
    assert known.refusal(CALLER, ASK) is not None


def test_what_requests_in_flight_hold_is_no_reason() -> None:
    held = replace(USED_UP, tallies={Window.HOUR: Tally(requests_used=9, requests_held=1)})
    known, _ = learned(held)
    assert known.refusal(CALLER, ASK) is None


def test_too_few_tokens_for_one_request_are_no_reason_to_refuse_a_smaller_one() -> None:
    known, _ = learned(replace(USED_UP, tallies={Window.DAY: Tally(tokens_used=999)}))
    assert known.refusal(CALLER, ASK) is None
    known, _ = learned(replace(USED_UP, tallies={Window.DAY: Tally(tokens_used=1000)}))
    assert refused(known).code == "insufficient_quota"


def test_of_two_exhausted_windows_the_later_counts_also_where_it_depends_on_the_request() -> None:
    known, _ = learned()
    large = replace(ASK, prompt_tokens=690)
    assert refused(known, large).details["limit"] == "tokens-day"
    assert refused(known).details["limit"] == "requests-hour"


def test_a_shadow_limit_refuses_nobody() -> None:
    limits = Limits((replace(HOUR, enforce=False),))
    ask = replace(ASK, limits=limits)
    known, _ = learned(replace(USED_UP, verdicts=(Verdict.EXHAUSTED,)), ask)
    assert known.refusal(CALLER, ask) is None


def test_another_version_other_limits_and_another_user_go_to_the_store() -> None:
    known, _ = learned()
    assert known.refusal(CALLER, replace(ASK, user_version="v2")) is None
    assert known.refusal(CALLER, replace(ASK, limits=Limits((replace(HOUR, value=20),)))) is None
    assert known.refusal(CALLER, replace(ASK, subject="user:bob")) is None


def test_no_entry_outlives_a_window() -> None:
    known, clock = learned(replace(USED_UP, now_ms=NOW_MS + 1_829_800))
    clock.now_s += 0.19
    assert known.refusal(CALLER, ASK) is not None
    clock.now_s += 0.02
    assert known.refusal(CALLER, ASK) is None


def test_a_reset_or_an_admission_ends_it() -> None:
    known, _ = learned()
    known.forget(ASK.subject)
    assert known.refusal(CALLER, ASK) is None
    known, _ = learned()
    known.learn(ASK, Admitted(Receipt("r2", ASK.subject, NOW_MS, 84, 16, False), {}, 1))
    assert known.refusal(CALLER, ASK) is None


def test_memory_is_bounded() -> None:
    known, _ = learned(times=0, callers=2)
    asks = [replace(ASK, subject=f"user:{number}") for number in range(3)]
    for ask in asks:
        known.learn(ask, USED_UP)
        known.learn(ask, USED_UP)
    assert [known.refusal(CALLER, ask) is not None for ask in asks] == [False, True, True]


def test_what_no_request_could_change_is_told_without_looking_at_the_request() -> None:
    day = Limits((replace(HOUR, window=Window.DAY), DAY))
    used_up = replace(USED_UP, now_ms=NOW_MS + 700, tallies={Window.DAY: Tally(requests_used=10)})
    known, clock = learned(used_up, replace(ASK, limits=day))
    caller = replace(CALLER, limits=day, record=UserRecord("alice", "v1"))
    assert known.refusal_of_any_request(caller) is None
    error = known.refusal(caller, replace(ASK, limits=day))
    assert error is not None
    told = known.refusal_of_any_request(caller)
    assert told is not None
    assert told is not error
    assert vars(told) == vars(error)
    assert known.refusal_of_any_request(replace(caller, record=UserRecord("alice", "v2"))) is None
    assert known.refusal_of_any_request(replace(caller, key=KeyRecord("k1", "alice", "d" * 64, "abcd"))) is None
    clock.now_s += 0.4  # another second by the store's clock
    assert known.refusal_of_any_request(caller) is None


def test_where_tokens_might_hold_longer_the_request_is_looked_at() -> None:
    known, _ = learned()
    caller = replace(CALLER, record=UserRecord("alice", "v1"))
    assert known.refusal(caller, ASK) is not None
    assert known.refusal_of_any_request(caller) is None
