"""What is reserved of a caller's money before a call, and who is refused for the lack of it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.errors import GatewayError
from scalix.domain.identity.subjects import Subject
from scalix.domain.ledger.ledger import Balance
from scalix.domain.limits.limits import UNLIMITED
from scalix.domain.limits.quota import Ask, Outcome, Prices, Refused, Verdict
from scalix.domain.policy import Tier
from scalix.domain.requests.routes import Route
from scalix.edge.errors import error_headers
from scalix.service.administration.balances import Credit
from scalix.service.audit.audit import Actor
from scalix.service.exchange.calls import Call
from scalix.service.exchange.exchanges import Exchange
from scalix.service.exchange.refusals import refusal
from scalix.service.identity.callers import Caller
from tests.service.outage_rig import StoreProcess, World

CONFIG = """
model_list:
  - model_name: free-model
    litellm_params: {model: openai/free-model, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.000001, output_cost_per_token: 0.000002}
  - model_name: dear
    litellm_params: {model: openai/dear, api_key: none}
    model_info:
      max_output_tokens: 100
      input_cost_per_token: 0.000004
      output_cost_per_token: 0.000001
      cache_creation_input_token_cost: 0.000005
      input_cost_per_audio_token: 0.00007
  - model_name: dearest
    litellm_params: {model: openai/dearest, api_key: none}
    model_info: {max_output_tokens: 100, input_cost_per_token: 0.001, output_cost_per_token: 0.001}
scalix:
  default_tier: all
  tiers:
    all: {models: [free-model, dear], spend_usd: {day: 100}, on_store_failure: allow}
    marked: {models: [free-model, dear], spend_usd: {day: 100}}
    some: {models: [free-model], spend_usd: {day: 100}}
    prepaid: {models: ["*"], prepaid: true, on_store_failure: allow}
  prices: {markup: {all: 0, marked: 1.5}}
  fallbacks: {free-model: [dear, dearest]}
"""
TEXT: dict[str, Any] = {"model": "free-model", "messages": [{"role": "user", "content": "hello"}]}
SOUND = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreProcess]:
    process = StoreProcess(tmp_path)
    yield process
    process.stop()


@pytest.fixture
async def world(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    async with World(store_url, tmp_path, key_prefix, jobs=False) as world:
        yield world


async def admitted(world: World, tier: str, body: dict[str, Any]) -> Exchange:
    policy = world.core.policy.current
    caller = Caller(Subject("user", f"in-{tier}"), policy.tiers[tier], policy.tiers[tier].limits)
    exchange = await world.core.exchange.admission.admit(caller, Call(f"r-{tier}", Route.CHAT, dict(body)))
    held = await world.day(f"in-{tier}")
    receipt, prices = exchange.admission.receipt, exchange.admission.reservation.ask.prices
    assert held.nano_usd_held == prices.cost_nano_usd(receipt.prompt_tokens, receipt.output_cap_tokens)
    await world.core.exchange.settlement.settle(exchange, exchange.ended(Outcome.PROVIDER_FAILED))
    return exchange


@pytest.mark.parametrize(
    ("tier", "expected"),
    [
        # of the models that this caller may use, each component's dearest: writing to a cache, and the other's answers
        ("all", (5_000_000, 2_000_000)),
        ("marked", (7_500_000, 3_000_000)),
        ("some", (1_000_000, 2_000_000)),
    ],
)
async def test_the_dearest_of_the_model_and_its_fallbacks_is_reserved(
    world: World, tier: str, expected: tuple[int, int]
) -> None:
    prices = (await admitted(world, tier, TEXT)).admission.reservation.ask.prices
    assert (prices.input_pico_usd_per_token, prices.output_pico_usd_per_token) == expected


@pytest.mark.parametrize(("tier", "charge"), [("all", 1_000), ("marked", 1_500)])
async def test_for_a_worker_that_dies_the_price_of_the_model_itself_is_noted(
    world: World, tier: str, charge: int
) -> None:
    asks: list[Ask] = []
    store: Any = world.core.exchange.admission._room._store
    admit = store.admit

    async def noting(ask: Ask) -> Any:
        asks.append(ask)
        return await admit(ask)

    store.admit = noting
    await admitted(world, tier, TEXT)
    (asked,) = asks
    assert asked.prompt_cost_nano_usd == 1_000 * asked.prompt_tokens
    assert asked.prompt_charge_nano_usd == charge * asked.prompt_tokens


async def test_sound_has_its_own_price_where_there_is_some(world: World) -> None:
    body = {**TEXT, "messages": [{"role": "user", "content": [SOUND]}]}
    assert (await admitted(world, "all", body)).admission.reservation.ask.prices.input_pico_usd_per_token == 70_000_000


async def test_an_exchange_knows_when_it_began_and_what_the_models_cost_then(world: World) -> None:
    exchange = await admitted(world, "all", TEXT)
    assert exchange.admission.began_s > 0
    assert exchange.admission.offer.models == world.core.policy.current.models


async def test_text_of_unknown_size_is_no_match_for_a_balance(world: World) -> None:
    policy = world.core.policy.current
    caller = Caller(Subject("user", "una"), policy.tiers["prepaid"], UNLIMITED)
    body = {"model": "free-model", "input": "x", "previous_response_id": "resp_1"}
    with pytest.raises(GatewayError, match="which a prepaid balance can't account for"):
        await world.core.exchange.admission.admit(caller, Call("r", Route.RESPONSES, body))


async def test_a_balance_is_not_spent_while_the_store_is_away(store: StoreProcess, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    async with World(store.url, tmp_path, "t:") as world:
        paying, other = await world.user("pia", "prepaid"), await world.user("oli", "all")
        await world.core.administration.balances.credit(
            Credit.read({"user_id": "pia", "amount_usd": 5, "credit_id": "1"}), Actor("test")
        )
        assert [(await world.ask(user)).status for user in (paying, other)] == [200, 200]
        store.kill()
        refused = await world.ask(paying)
        assert (refused.status, refused.body["error"]["code"]) == (503, "store_unavailable")
        assert (await world.ask(other)).status == 200
        store.start_again()
        while (await world.ask(paying)).status == 503:
            pass  # until the breaker has noticed
        left = (await world.core.administration.balances.show("pia")).balance_usd
        assert left is not None
        spent = round(5 * 10**9 - left * 10**9)
        assert spent > 0
        assert spent % 17_000 == 0  # answers of 7 and 5 tokens


def refused_by(balance: Balance | None, verdict: Verdict, url: str | None = "https://x.example/pay") -> GatewayError:
    caller = Caller(Subject("user", "alice"), Tier("premium", upgrade_url=url, prepaid=True), UNLIMITED)
    ask = Ask("r1", "user:alice", UNLIMITED, 100, 500, 16, prices=Prices(1_000_000, 2_000_000))
    return refusal(caller, ask, Refused(0, (), False, {}, 0, balance=verdict, balance_now=balance))


def test_an_empty_balance_says_what_there_is_what_it_takes_and_what_to_do() -> None:
    error = refused_by(Balance(-1_500_000), Verdict.EXHAUSTED)
    assert error.message == (
        "Your prepaid balance is -0.0015 USD, and this request needs about 0.000132. Add credit at https://x.example/pay."
    )
    assert (error.code, error.retry_after_s) == ("insufficient_quota", None)
    assert error.details == {
        "tier": "premium",
        "limit": "balance",
        "balance_usd": -0.0015,
        "reserved_usd": 0.0,
        "upgrade_url": "https://x.example/pay",
    }
    assert error_headers(error) == [(b"x-should-retry", b"false")]


def test_without_a_place_to_pay_it_is_the_operator_to_ask() -> None:
    message = refused_by(None, Verdict.EXHAUSTED, url=None).message
    assert message == (
        "You have no prepaid balance, and the premium tier needs one. Ask the operator of this gateway for credit."
    )


def test_a_balance_that_is_only_reserved_may_be_tried_again() -> None:
    error = refused_by(Balance(5_000, 4_900), Verdict.RESERVED)
    assert (error.code, error.retry_after_s, error.details["reserved_usd"]) == ("quota_reserved", 1, 4.9e-06)
    assert error.message == (
        "Your own requests in flight have reserved what is left of your prepaid balance. Try again when they end."
    )
