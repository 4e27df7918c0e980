"""A user's own limits are read once for each record and tier, and anew when either changes."""

from dataclasses import replace
from typing import cast

from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.policy import Policy, Tier
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.store.base import UserRecord
from scalix.store.records.redis_users import UserStore
from tests.store.memory.memory import MemoryStore
from tests.store.stores import Clock

FREE = Tier("free", Limits((Limit(Metric.REQUESTS, Window.DAY, 50),)), models=("*",))
RECORD = UserRecord("alice", limits={"requests": {"hour": 20}})


def directory(**sizes: int) -> tuple[UserDirectory, PolicySource]:
    policy = PolicySource(Policy({"free": FREE}, "free"))
    return UserDirectory(cast(UserStore, MemoryStore(Clock())), policy, **sizes), policy


def hours(users: UserDirectory, record: UserRecord) -> list[int]:
    limits = users.caller_of(record).limits
    return [limit.value for limit in limits.windows if limit.window is Window.HOUR]


def test_one_record_has_one_set_of_limits() -> None:
    users, _ = directory()
    assert users.caller_of(RECORD).limits is users.caller_of(RECORD).limits
    assert users.caller_of(UserRecord("bob")).limits is FREE.limits


def test_a_new_record_and_a_new_tier_count_at_once() -> None:
    users, policy = directory()
    assert hours(users, RECORD) == [20]
    assert hours(users, replace(RECORD, limits={"requests": {"hour": 30}})) == [30]
    policy.replace(Policy({"free": replace(FREE, limits=Limits((Limit(Metric.TOKENS, Window.DAY, 7),)))}, "free"))
    assert [limit.name for limit in users.caller_of(RECORD).limits.windows] == ["requests-hour", "tokens-day"]


def test_what_is_kept_is_bounded() -> None:
    users, _ = directory(cached_records=10)
    for number in range(50):
        users.caller_of(replace(RECORD, user_id=f"user-{number}"))
    assert len(users._limits) == 10
