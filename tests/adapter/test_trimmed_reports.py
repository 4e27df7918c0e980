"""LiteLLM's cost and its record of a call are left out only where nothing is charged or read by them."""

from typing import Any

import pytest
from litellm.litellm_core_utils.litellm_logging import Logging
from litellm.types.utils import ModelResponse, Usage

from scalix.domain.policy import Model
from scalix.domain.prices.pricing import Price
from scalix.litellm_adapter import trimmed_reports
from scalix.litellm_adapter.reports import report_success
from scalix.service.exchange.exchanges import CURRENT, Exchange
from tests.exchanges import made_exchange

RATES = (("input_cost_per_token", 10**12), ("output_cost_per_token", 2 * 10**12))
PRICED = Model("m", "openai/x", prices=(Price("info", RATES),))


def of_models(*models: Model) -> Exchange:
    """An exchange in flight, when these models were in service."""
    one = made_exchange(models={model.name: model for model in models})
    one.attempt.model = "m"
    return one


def answer(**usage: Any) -> ModelResponse:
    """An answer of LiteLLM's."""
    response = ModelResponse(id="a", model="m")
    response.usage = Usage(prompt_tokens=10, completion_tokens=5, total_tokens=15, **usage)
    return response


class FakeLogging:
    """What the two methods use of LiteLLM's."""

    def __init__(self, group: str | None = "m", place: str = "metadata") -> None:
        self.litellm_params = {place: {"model_group": group}}
        self.model_call_details = {"litellm_params": self.litellm_params, "response_cost": 0.5, "cache_hit": None}


@pytest.fixture
def cost(monkeypatch: pytest.MonkeyPatch) -> Any:
    """LiteLLM's method with the part left out; its own one says 0.25."""

    def own(self: Any, result: Any, cache_hit: Any = None) -> float:
        return 0.25

    for name in ("response_cost_calculator", "_response_cost_calculator"):
        monkeypatch.setattr(Logging, name, own)
    trimmed_reports.leave_out_cost()
    assert Logging._response_cost_calculator is not own
    return Logging.response_cost_calculator


def under(one: Exchange | None, call: Any) -> Any:
    """What `call` returns while an exchange is served."""
    token = CURRENT.set(one)
    try:
        return call()
    finally:
        CURRENT.reset(token)


@pytest.mark.parametrize("place", ["metadata", "litellm_metadata"])
def test_the_cost_of_a_model_with_a_price_of_ours_is_not_reckoned_twice(cost: Any, place: str) -> None:
    assert under(of_models(PRICED), lambda: cost(FakeLogging(place=place), result=answer())) is None


@pytest.mark.parametrize(
    ("one", "group", "response"),
    [
        (None, "m", answer()),  # plain mode, or a call of LiteLLM's own
        (of_models(), "m", answer()),  # a model that has no price
        (of_models(Model("m", "x")), "m", answer()),
        (of_models(Model("m", "x", prices=(Price("info", RATES, reported=True),))), "m", answer()),
        (of_models(PRICED), None, answer()),
        (of_models(PRICED, Model("n", "x", prices=PRICED.prices)), "n", answer()),  # LiteLLM's own fallback
        (of_models(PRICED), "m", answer(prompt_tokens_details={"web_search_requests": 2})),
        (of_models(PRICED), "m", {"no": "usage"}),
    ],
)
def test_a_cost_that_may_be_charged_is_reckoned(cost: Any, one: Exchange | None, group: str, response: Any) -> None:
    assert under(one, lambda: cost(FakeLogging(group), result=response)) == 0.25


def test_what_callbacks_read_of_a_call_is_there_without_the_record(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = "LiteLLM's own"
    monkeypatch.setattr(Logging, "_build_standard_logging_payload", lambda self, init_response_obj, start, end: whole)
    trimmed_reports.leave_out_logging_payload()
    build, details = Logging._build_standard_logging_payload, FakeLogging()
    one = of_models(PRICED)
    payload = under(one, lambda: build(details, answer(), None, None))
    report_success(one, {"standard_logging_object": payload}, answer())
    assert (one.attempt.served_model, one.attempt.cost_nano_usd, one.attempt.cache_hit) == ("m", 500_000_000, False)
    assert one.attempt.usage is not None
    assert (one.attempt.usage.prompt_tokens, one.attempt.usage.completion_tokens) == (10, 5)
    # A usage that only LiteLLM finds, and calls outside the edge, need the whole of it.
    assert under(one, lambda: build(details, {"no": "usage"}, None, None)) == "LiteLLM's own"
    assert under(None, lambda: build(details, answer(), None, None)) == "LiteLLM's own"
