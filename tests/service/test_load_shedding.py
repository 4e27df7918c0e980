"""Who is turned away when a worker carries much."""

from contextlib import ExitStack

import pytest

from scalix.domain.errors import Overloaded
from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.limits import UNLIMITED
from scalix.domain.policy import Priority, Tier
from scalix.domain.requests.guard import MIB, Overload
from scalix.service.exchange.load_shedding import LoadShedding
from scalix.service.identity.callers import THE_OPERATOR, Caller

LIMITS = Overload(in_flight=20, in_flight_per_address=3, body_memory_mib=1)


def caller(priority: Priority) -> Caller:
    return Caller(Subject("user", "u"), Tier("t", priority=priority), UNLIMITED)


def admitted(shedding: LoadShedding, who: Caller) -> int:
    """How many requests of one caller find a place at once."""
    with ExitStack() as stack:
        for number in range(100):
            try:
                stack.enter_context(shedding.slot(None, LIMITS))
                shedding.check(who, LIMITS)
            except Overloaded:
                return number
    raise AssertionError


@pytest.mark.parametrize(("priority", "places"), [("low", 14), ("normal", 17), ("high", 20)])
def test_the_cheapest_tiers_are_shed_first(priority: Priority, places: int) -> None:
    shedding = LoadShedding()
    assert admitted(shedding, caller(priority)) == places
    assert shedding.in_flight == 0


def test_the_operator_is_shed_last() -> None:
    assert admitted(LoadShedding(), THE_OPERATOR) == 20


def test_one_address_can_not_take_every_place() -> None:
    shedding = LoadShedding()
    with ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(shedding.slot("192.0.2.1", LIMITS))
        with pytest.raises(Overloaded, match="address"), shedding.slot("192.0.2.1", LIMITS):
            pass
        stack.enter_context(shedding.slot("192.0.2.2", LIMITS))
    assert shedding.in_flight == 0
    with ExitStack() as again:
        for _ in range(3):
            again.enter_context(shedding.slot("192.0.2.1", LIMITS))


def test_bodies_take_no_more_memory_than_was_set_aside_and_give_it_back() -> None:
    shedding = LoadShedding()
    with shedding.slot(None, LIMITS) as first, shedding.slot(None, LIMITS) as second:
        first.hold(700_000, LIMITS)
        with pytest.raises(Overloaded):
            second.hold(700_000, LIMITS)
    assert shedding.body_bytes == 0


def test_one_user_can_not_take_all_the_memory_for_bodies() -> None:
    shedding, limits = LoadShedding(), Overload(body_memory_mib=256)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(shedding.slot(None, limits, "mallory")).hold(16 * MIB, limits)
        with pytest.raises(Overloaded, match="Your requests"), shedding.slot(None, limits, "mallory") as fifth:
            fifth.hold(1, limits)
        with shedding.slot(None, limits, "alice") as other, shedding.slot(None, limits) as operators:
            other.hold(16 * MIB, limits)
            operators.hold(16 * MIB, limits)
    assert (shedding.body_bytes, shedding.bytes_by_owner) == (0, {})


def test_one_body_of_each_user_is_taken_however_little_memory_there_is() -> None:
    limits = Overload(body_memory_mib=16)
    with LoadShedding().slot(None, limits, "alice") as slot:
        slot.hold(16 * MIB, limits)


def test_one_place_is_left_for_everybody_however_small_the_worker() -> None:
    limits = Overload(in_flight=1)
    shedding = LoadShedding()
    with shedding.slot(None, limits):
        shedding.check(caller("low"), limits)
