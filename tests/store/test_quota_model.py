"""The stores against a model of the contract: any sequence of calls, clock moves and changes of limits."""

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.store.quota_machine import StoreMachine
from tests.store.stores import Rig, memory_rig, redis_rig


def drive(make_rig: Callable[[int], Rig], *, sequences: int, steps: int, repeatable: bool) -> None:
    class Machine(StoreMachine):
        pass

    Machine.make_rig = staticmethod(make_rig)
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=sequences,
            stateful_step_count=steps,
            deadline=None,
            database=None,
            derandomize=repeatable,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_the_memory_store_does_what_the_model_does() -> None:
    drive(lambda _: memory_rig(), sequences=30, steps=40, repeatable=True)


def test_a_real_server_does_what_the_model_does(store_url: str, key_prefix: str) -> None:
    drive(lambda number: redis_rig(store_url, f"{key_prefix}{number}:"), sequences=30, steps=40, repeatable=True)


@pytest.mark.soak
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("store", ["memory", "redis"])
def test_ten_thousand_steps_make_no_difference(store: str, request: pytest.FixtureRequest, key_prefix: str) -> None:
    def make_rig(number: int) -> Rig:
        url = request.getfixturevalue("store_url") if store == "redis" else ""
        return redis_rig(url, f"{key_prefix}{number}:") if url else memory_rig()

    drive(make_rig, sequences=100, steps=100, repeatable=False)
