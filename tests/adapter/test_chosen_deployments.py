"""LiteLLM's router asks the deployment that is chosen; which one it has asked is noted, whoever chose."""

from collections.abc import Iterator
from typing import Any

import pytest

from scalix.domain.deployments import Deployment
from scalix.domain.policy import Model
from scalix.litellm_adapter.chosen_deployments import note_deployment, only_the_chosen
from scalix.service.exchange.attempts import Attempt
from scalix.service.exchange.exchanges import CURRENT, Exchange
from tests.exchanges import made_exchange

MODELS = {
    "m": Model("m", "openai/m", deployments=(Deployment("m#1", "openai/m"), Deployment("m#2", "openai/m"))),
    "alone": Model("alone", "openai/m"),
}
ENTRIES: list[dict[str, Any]] = [{"model_name": "m", "model_info": {"id": ident}} for ident in ("m#1", "m#2")]


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = made_exchange(models=MODELS, attempt=Attempt(model="m"))
    token = CURRENT.set(made)
    yield made
    CURRENT.reset(token)


def test_the_router_is_left_with_the_chosen_one(exchange: Exchange) -> None:
    exchange.attempt.deployment_id = "m#2"
    assert only_the_chosen(ENTRIES) == ENTRIES[1:]


def test_the_router_chooses_where_nobody_has_and_where_the_chosen_one_can_not_be_asked(exchange: Exchange) -> None:
    assert only_the_chosen(ENTRIES) == ENTRIES
    exchange.attempt.deployment_id = "m#2"
    assert only_the_chosen(ENTRIES[:1]) == ENTRIES[:1]


def test_outside_of_a_request_of_ours_the_router_chooses() -> None:
    assert only_the_chosen(ENTRIES) == ENTRIES


@pytest.mark.parametrize("place", ["", "metadata", "litellm_metadata"])
def test_which_one_litellm_has_asked_is_noted_by_its_id(place: str, exchange: Exchange) -> None:
    info: dict[str, Any] = {"model_info": {"id": "m#2"}}
    note_deployment({place: info} if place else info)
    assert exchange.attempt.deployment_id == "m#2"


def test_ids_of_litellms_own_and_models_with_one_deployment_are_not_noted(exchange: Exchange) -> None:
    note_deployment({"model_info": {"id": "0f" * 32}})
    note_deployment({"metadata": None})
    exchange.attempt.model = "alone"
    note_deployment({"model_info": {"id": "m#2"}})
    assert exchange.attempt.deployment_id == ""
