"""What answers tell a key's holder of the key's own limits."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.edge.key_rig import act, ask, made
from tests.edge.limits_rig import TOKENS, Instance

LIMITS = {"rpm_limit": 1000, "tpm_limit": 500_000, "max_budget": 3, "budget_duration": "30d"}


@pytest.fixture
async def instance(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    one = Instance(store_url, tmp_path, key_prefix, "one")
    yield one
    await one.close()


def policies(answer: httpx.Response) -> dict[str, int]:
    """The quota of each policy by name."""
    return {name: int(quota) for name, quota in re.findall(r'"([^"]+)";q=(\d+)', answer.headers["ratelimit-policy"])}


def left(answer: httpx.Response) -> dict[str, int]:
    return {name: int(rest) for name, rest in re.findall(r'"([^"]+)";r=(\d+)', answer.headers["ratelimit"])}


async def test_the_tightest_of_the_users_and_the_keys_windows_is_told(instance: Instance) -> None:
    key = await made(instance, **{**LIMITS, "tpm_limit": 5_000})
    answer = await ask(instance, key["key"])
    assert policies(answer) == {
        "requests-hour": 2,
        "requests-month": 1000,
        "tokens-day": 10_000,
        "key-requests-minute": 1000,
        "key-tokens-minute": 5_000,
        "key-spend_usd-budget": 3_000_000,
    }
    assert (answer.headers["x-ratelimit-limit-requests"], answer.headers["x-ratelimit-limit-tokens"]) == ("2", "5000")
    assert int(answer.headers["x-ratelimit-reset-tokens"].removesuffix("s").removeprefix("1m") or 0) <= 60
    await act(instance, "/key/update", key=key["token"], rpm_limit=1)
    await act(instance, "/user/update", user_id=key["user_id"], tier="open")
    # A minute may turn between two requests: the answer that is refused was asked within one.
    for _ in range(3):
        refused = await ask(instance, key["key"])
        if refused.status_code == 429:
            break
    assert refused.json()["error"]["scalix"]["limit"] == "key.rpm_limit"
    assert left(refused)["key-requests-minute"] == 0
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert "key-requests-minute 100%" in refused.headers["x-scalix-warning"]


async def test_what_is_left_of_a_key_is_what_it_has_not_used(instance: Instance) -> None:
    key = await made(instance, **LIMITS)
    await act(instance, "/user/update", user_id=key["user_id"], tier="open")
    for _ in range(3):
        answers = [await ask(instance, key["key"]) for _ in range(2)]
        assert {answer.status_code for answer in answers} == {200}
        first, second = map(left, answers)
        if first["key-requests-minute"] - second["key-requests-minute"] == 1:  # in one minute
            break
    assert first["key-tokens-minute"] - second["key-tokens-minute"] == TOKENS
    assert first["key-tokens-minute"] == 500_000 - TOKENS * (1000 - first["key-requests-minute"])
    assert first["key-spend_usd-budget"] > second["key-spend_usd-budget"]


async def test_a_key_without_limits_tells_of_its_users_alone(instance: Instance) -> None:
    answer = await ask(instance, (await made(instance))["key"])
    assert set(policies(answer)) == {"requests-hour", "requests-month", "tokens-day"}
