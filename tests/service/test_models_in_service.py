"""What readiness says of models: without any the gateway is not ready; those that rest are counted."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.service.outage_rig import StoreProcess, World
from tests.service.test_full_disk import readiness


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreProcess]:
    process = StoreProcess(tmp_path)
    yield process
    process.stop()


async def test_without_a_model_the_gateway_is_not_ready_and_says_so(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:") as world:
        assert (await readiness(world))[0] == 200
        world.core.policy.replace(replace(world.core.policy.current, models={}))
        status, told = await readiness(world)
        assert (status, told["models"]) == (503, "none in service")


async def test_models_that_rest_are_counted_and_make_no_gateway_unready(store: StoreProcess, tmp_path: Path) -> None:
    async with World(store.url, tmp_path, "t:", jobs=False) as world:
        assert "models_resting" not in (await readiness(world))[1]
        cooldowns = world.core.exchange.fallbacks.cooldowns
        cooldowns.rest_by_check("free-model", 30)
        status, told = await readiness(world)
        assert (status, told["models_resting"], told["models_in_service"]) == (200, 1, 0)
        cooldowns.answers_check("free-model")
        assert "models_resting" not in (await readiness(world))[1]
