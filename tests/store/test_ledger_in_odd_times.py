"""Users, their days and the lists by time stay right while the clock leaps, leases end, and users go and come back."""

import random
from typing import Any

import pytest

from scalix.domain.identity.subjects import shard_of
from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.people import numbers_of, numbers_text
from scalix.domain.limits.calendar import DAY_MS, HOUR_MS
from scalix.domain.limits.quota import Admitted, Charge, Outcome
from scalix.store.privacy.redis_erasure import ErasureStore
from scalix.store.records.redis_users import UserStore
from tests.store.ledger_rig import LedgerRig, parts
from tests.store.stores import ask, limits
from tests.store.test_today import Rig
from tests.store.today_truth import agrees

SUBJECTS = ("user:a", "user:b", "user:12", "user:c d")
ON_DAYS, LEAPS_DAYS = (0.1, 0.5, 1, 1, 2, 8), (0.5, 1, 1, 2, 8, 40, -0.2, -1, -3, -40)
TIGHT = limits(requests={"day": 3})
# Hours that a clock has left behind by a leap are taken for over, and their windows with them.
LEFT_OUT = {"windows"}


class OddTimes:
    """One run, in which the clock leaps to and fro, or else users are erased and deleted. It has seen all `days`."""

    def __init__(self, rig: LedgerRig, seed: int, *, leaps: bool) -> None:
        self.rig = rig
        self.leaps = leaps
        self.random = rig.random = random.Random(seed)
        self.open = list[Any]()
        self.days = set[int]()
        self.ids = 0

    async def step(self) -> None:
        rig, chosen = self.rig, self.random
        self.days.add(rig.clock.now_ms // DAY_MS)
        self.ids += 1
        request_id, subject = f"r{self.ids}", chosen.choice(SUBJECTS)
        match chosen.choices(("settle", "open", "late", "sweep", "refuse", "leap", "go"), (30, 8, 10, 6, 8, 12, 2))[0]:
            case "settle":
                await rig.quotas.settle(await rig.admit(request_id, subject), rig.charge())
            case "open":
                self.open.append(await rig.admit(request_id, subject, lease_ms=chosen.choice((1_000, 10**10))))
            case "late" if self.open:  # some of them swept, some settled before
                await rig.quotas.settle(chosen.choice(self.open), rig.charge())
            case "sweep":
                await rig.quotas.sweep()
            case "refuse":
                await rig.quotas.admit(ask(request_id, TIGHT, subject=subject))
            case "leap":
                rig.clock.advance(hours=24 * chosen.choice(LEAPS_DAYS if self.leaps else ON_DAYS))
            case "go" if not self.leaps:
                user_id = subject.removeprefix("user:")
                if chosen.random() < 0.5:
                    await UserStore(rig.session).delete(user_id)
                else:
                    await ErasureStore(rig.session, rig.pseudonyms).erase(user_id)
                rig.clock.advance(seconds=1)


# By the tenth, somebody is there in 40 days, and then today again.
@pytest.mark.parametrize("seed", [10, *(pytest.param(seed, marks=pytest.mark.soak) for seed in range(11, 40))])
@pytest.mark.parametrize("leaps", [True, False], ids=["leaps", "erasures"])
async def test_whatever_the_clock_does_users_and_lists_by_time_are_those_of_the_events(
    leaps: bool, seed: int, store_url: str, key_prefix: str
) -> None:
    rig = LedgerRig(store_url, key_prefix)
    run = OddTimes(rig, seed, leaps=leaps)
    for _ in range(50):
        await run.step()
    events = 0
    for day in sorted(run.days):
        found = await rig.verify(day=day)
        events += found.events
        assert [one for one in found.differences if one.part not in LEFT_OUT] == [], (seed, day)
    assert events > 5
    await rig.close()


async def test_what_a_leap_has_pushed_out_of_memory_is_no_difference_and_what_is_too_few_is(
    store_url: str, key_prefix: str
) -> None:
    rig = LedgerRig(store_url, key_prefix)
    day = rig.clock.now_ms // DAY_MS
    for number in range(4):  # the last is refused
        decision = await rig.quotas.admit(ask(f"t{number}", TIGHT, subject="user:a", tier="free"))
        if isinstance(decision, Admitted):
            await rig.quotas.settle(decision.receipt, rig.charge())
    for days in (40, -40):
        rig.clock.advance(hours=24 * days)
        await rig.settle(f"r{days}", "user:a")
    assert [one for one in (await rig.verify(day=day)).differences if one.part not in LEFT_OUT] == []
    # Somebody of the same shard whose days are known is counted all the same.
    neighbour = next(name for n in range(10_000) if shard_of(name := f"user:n{n}") == shard_of("user:a"))
    await rig.settle("n", neighbour, Charge(Outcome.SUCCESS, 1, 9, 0, detail=Detail("free", "gpt-4", served="gpt-4")))
    people = rig.keys.people("user:a")
    numbers = numbers_of(await rig.client.hget(people, str(day)))
    await rig.client.hset(people, str(day), numbers_text({**numbers, "u": 0}))
    assert "people" in parts((await rig.verify(day=day)).differences)
    await rig.close()


@pytest.mark.parametrize("ahead_s", [2, 86_400], ids=["two seconds", "a day"])
async def test_what_one_clock_takes_for_over_and_another_still_writes_to_is_in_the_figures(
    ahead_s: int, store_url: str, key_prefix: str
) -> None:
    """Such as those of two servers of a cluster, or of one that takes over from another."""
    rig = Rig(store_url, key_prefix)
    midnight_ms = (rig.clock.now_ms // DAY_MS + 1) * DAY_MS
    for now_ms in (midnight_ms - 2_000, midnight_ms - 1_000 + ahead_s * 1_000, midnight_ms - 1_000):
        rig.clock.now_ms = now_ms
        await rig.days.add_up()
        await rig.today()
        await rig.client.delete(rig.keys.day_figures_turn())
        if now_ms < midnight_ms:
            await rig.served(now_ms, "user:ann", "free")
    rig.clock.now_ms = midnight_ms + HOUR_MS
    for _ in range(2):
        await rig.days.add_up()
        agrees(await rig.today(), await rig.truth(), midnight_ms // DAY_MS)
    assert await rig.client.hexists(rig.keys.day_figures(), str(midnight_ms // DAY_MS - 1))
    await rig.close()
