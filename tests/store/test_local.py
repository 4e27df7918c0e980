"""The counters of one process for virtual keys, by a clock that stands still."""

from scalix.domain.limits.key_limits import KeyLimit, KeyScope, KeyWindow
from scalix.domain.limits.limits import UNLIMITED, Metric
from scalix.domain.limits.quota import Admitted, Decision, Refused, Tally
from scalix.store.quota.local import LocalCounters
from tests.store.stores import Clock, ask, used

THREE = (KeyLimit(Metric.REQUESTS, KeyWindow.MINUTE, 3),)


async def asked(local: LocalCounters, number: int, key_id: str = "k", **changes: object) -> Decision:
    return await local.admit(ask(f"r{number}", UNLIMITED, key=KeyScope(key_id, None, THREE), **changes))


async def test_a_keys_minute_goes_on_from_what_was_last_known_and_the_next_begins_anew() -> None:
    clock = Clock()
    local = LocalCounters(clock)
    local.learn_key("k", clock(), {KeyWindow.MINUTE: Tally(requests_used=2, requests_held=5)})
    assert isinstance(await asked(local, 1), Admitted)
    assert isinstance(await asked(local, 2), Refused)
    assert isinstance(await asked(local, 3, "another"), Admitted)
    clock.advance(seconds=60)
    for number in range(4, 7):
        assert isinstance(await asked(local, number), Admitted)
    assert isinstance(await asked(local, 7), Refused)


async def test_what_is_settled_before_the_first_request_counts_beside_what_was_known() -> None:
    clock = Clock()
    local = LocalCounters(clock)
    admitted = await asked(local, 1)
    assert isinstance(admitted, Admitted)
    again = LocalCounters(clock)
    again.learn_key("k", clock(), {KeyWindow.MINUTE: Tally(requests_used=1)})
    await again.settle(admitted.receipt, used(10))
    assert isinstance(await asked(again, 2), Admitted)
    assert isinstance(await asked(again, 3), Refused)


async def test_what_is_known_of_keys_is_bounded() -> None:
    clock = Clock()
    local = LocalCounters(clock, most_subjects=10)
    for number in range(100):
        local.learn_key(f"k{number}", clock(), {KeyWindow.MINUTE: Tally(requests_used=3)})
    assert len(local._known_keys) == 10
    assert isinstance(await asked(local, 1, "k99"), Refused)
