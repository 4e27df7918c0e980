"""`make demo-data`: a month with which the ledger finds nothing wrong, in an empty store only, never in production."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.limits.calendar import DAY_MS
from scalix.domain.policy import Policy
from scalix.domain.requests.request_ids import made_at_ms
from scalix.launch.config.config_file import read_config
from scalix.store.keys import Keys
from scalix.store.ledger.redis_requests import Place, RequestReader
from tests.store.ledger_rig import LedgerRig
from tools import demo_data
from tools.demo_month import Month, Written, write_month

ROOT = Path(__file__).resolve().parent.parent.parent
LAST_DAY = 20_700


@pytest.fixture(scope="module")
def policy() -> Policy:
    environ = {"SCALIX_DEMO_URL": "http://127.0.0.1:0", "LITELLM_MASTER_KEY": "sk-demo"}
    return read_config(ROOT / "litellm_proxy_config.yaml", environ, demo=True).policy


async def written(rig: LedgerRig, policy: Policy, names: Keys) -> Written:
    until_ms = LAST_DAY * DAY_MS + DAY_MS // 2
    month = Month(first_day=LAST_DAY - 29, until_ms=until_ms, users=50, seed=3)
    return await write_month(rig.client, names, policy, month)


async def test_every_day_agrees_with_its_events_and_the_same_seed_makes_the_same_month(
    store_url: str, key_prefix: str, policy: Policy
) -> None:
    rig, other = LedgerRig(store_url, key_prefix), LedgerRig(store_url, f"{key_prefix}again:")
    for one in (rig, other):
        one.clock.now_ms = LAST_DAY * DAY_MS + DAY_MS // 2
    first, second = await written(rig, policy, rig.keys), await written(other, policy, other.keys)
    assert (first.users, first.requests, first.refused) == (second.users, second.requests, second.refused)
    assert first.requests > 500
    assert min(first.refused, first.keys) > 0
    names = [name async for name in rig.session.names_like("{s*}:A:*")]
    assert names
    for name in names:
        assert await rig.client.hgetall(name) == await rig.client.hgetall(
            name.replace(key_prefix, f"{key_prefix}again:")
        )
    for day in (LAST_DAY, LAST_DAY - 8, LAST_DAY - 20):
        found = await rig.verify(day=day)
        assert (found.differences, found.events > 5) == ([], True)
    # Their ids say when they were made, by which a request is found among everybody's.
    newest = (await RequestReader(rig.session).newest(Place(rig.clock.now_ms, ""), 0, 1))[0]
    made_ms = made_at_ms(newest.request_id)
    assert made_ms is not None
    assert await RequestReader(rig.session).find(newest.request_id, made_ms) == newest
    await rig.close()
    await other.close()


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, store_url: str, key_prefix: str) -> pytest.MonkeyPatch:
    for name, value in {
        "REDIS_URL": store_url,
        "SCALIX_KEY_PREFIX": key_prefix,
        "SCALIX_STATE_DIR": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("SCALIX_STORE_URL", raising=False)
    return monkeypatch


async def test_a_store_that_holds_anything_is_refused(
    told: pytest.MonkeyPatch, store_url: str, key_prefix: str, capsys: Any
) -> None:
    rig = LedgerRig(store_url, key_prefix)
    await rig.client.set(f"{key_prefix}key-list", "1")
    await rig.close()
    assert await asyncio.to_thread(demo_data.main, ["--users", "3"]) == demo_data.EXIT_REFUSED
    assert "has keys with the prefix" in capsys.readouterr().err


def test_production_is_refused(told: pytest.MonkeyPatch, capsys: Any) -> None:
    told.setenv("SCALIX_ENV", "production")
    assert demo_data.main(["--users", "3"]) == demo_data.EXIT_REFUSED
    assert "production" in capsys.readouterr().err
