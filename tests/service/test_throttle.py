"""What wrong credentials cost, on a clock that the test moves."""

from scalix.service.identity.throttle import FORGOTTEN_AFTER_S, FREE_FAILURES, Throttle


class Clock:
    """Seconds, and every sleep that was asked for. A sleep ends at once."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def throttle(self, **bounds: int) -> Throttle:
        return Throttle(lambda: self.now_s, sleep=self.sleep, **bounds)


async def test_the_first_few_cost_nothing_and_then_each_costs_twice_the_last_up_to_the_bound() -> None:
    clock = Clock()
    throttle = clock.throttle()
    for _ in range(FREE_FAILURES):
        await throttle.wrong_credential("a", 1.0)
    assert clock.slept == []
    for _ in range(6):
        await throttle.wrong_credential("a", 1.0)
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.0, 1.0]


async def test_addresses_do_not_pay_for_each_other() -> None:
    clock = Clock()
    throttle = clock.throttle()
    for _ in range(20):
        await throttle.wrong_credential("a", 1.0)
    clock.slept.clear()
    await throttle.wrong_credential("b", 1.0)
    assert clock.slept == []


async def test_after_a_quiet_time_everything_is_forgotten() -> None:
    clock = Clock()
    throttle = clock.throttle()
    for _ in range(20):
        await throttle.wrong_credential("a", 1.0)
    clock.slept.clear()
    clock.now_s += FORGOTTEN_AFTER_S + 1
    await throttle.wrong_credential("a", 1.0)
    assert clock.slept == []


async def test_as_many_addresses_are_remembered_as_there_is_room_for() -> None:
    clock = Clock()
    throttle = clock.throttle(most_addresses=100)
    for number in range(1000):
        await throttle.wrong_credential(str(number), 1.0)
    assert len(throttle._by_group) == 100


async def test_when_too_many_wait_the_answer_goes_out_at_once() -> None:
    clock = Clock()
    throttle = clock.throttle(most_waiting=0)
    for _ in range(20):
        await throttle.wrong_credential("a", 1.0)
    assert clock.slept == []


async def test_a_bound_of_zero_switches_the_delay_off() -> None:
    clock = Clock()
    throttle = clock.throttle()
    for _ in range(20):
        await throttle.wrong_credential("a", 0)
    assert clock.slept == []
