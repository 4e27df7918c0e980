"""Prepaid balances and prices by HTTP, over a real store: what is billed, from what, and never beyond it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from scalix.domain.ledger.ledger import Event
from scalix.domain.tokens.usage import Usage
from scalix.service.exchange.exchanges import Exchange
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.ledger.redis_ledger import LedgerReader
from tests.edge.limits_rig import Instance
from tests.service import outage_rig

PRICE = "input_cost_per_token: 0.000001, output_cost_per_token: 0.000002"
CONFIG = f"""
model_list:
  - model_name: free-model
    litellm_params: {{model: openai/free-model, api_key: none}}
    model_info: {{max_output_tokens: 100, {PRICE}}}
  - model_name: unpriced
    litellm_params: {{model: openai/unpriced, api_key: none}}
scalix:
  default_tier: prepaid
  upgrade_url: https://scalix.world/pricing
  tiers:
    prepaid: {{models: ["*"], prepaid: true}}
    dear: {{models: ["*"], prepaid: true}}
    billed: {{models: ["*"]}}
    free: {{models: ["*"], spend_usd: {{day: 1}}}}
  prices: {{markup: {{free: 0, dear: 1.5}}}}
"""
COST_NANO_USD = 7 * 1_000 + 5 * 2_000  # of what the stand-in says that each answer took


@pytest.fixture
async def gateway(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    instance = Instance(store_url, tmp_path, key_prefix, "a")
    yield instance
    await instance.close()


async def credit(gateway: Instance, user: str, usd: object, credit_id: str = "first") -> dict[str, Any]:
    body = {"user_id": user, "amount_usd": usd, "credit_id": credit_id}
    answer = await gateway.http.post("/user/credit", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def balance(gateway: Instance, user: str) -> dict[str, Any]:
    answer = await gateway.http.get(f"/user/balance?user_id={user}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def in_tier(gateway: Instance, user: str, tier: str) -> None:
    assert (await gateway.http.post("/user/new", json={"user_id": user, "tier": tier})).status_code == 200


async def events_of(gateway: Instance, key_prefix: str, user: str) -> list[Event]:
    ledger = LedgerReader(StoreSession(gateway.core.store.client, Keys(key_prefix)))
    today = await ledger.now_ms() // 86_400_000
    return await ledger.events(f"user:{user}", today)


async def until(holds: Callable[[], object]) -> None:
    while True:
        if holds():
            return
        await asyncio.sleep(0)


async def test_a_credit_is_added_once_for_each_id(gateway: Instance) -> None:
    assert await balance(gateway, "ann") == {
        "user_id": "ann",
        "balance_usd": None,
        "reserved_usd": None,
        "available_usd": None,
    }
    first = await credit(gateway, "ann", "2.50", "invoice-7")
    assert (first["credited"], first["amount_usd"], first["balance_usd"]) == (True, 2.5, 2.5)
    again = await credit(gateway, "ann", "2.50", "invoice-7")
    assert (again["credited"], again["balance_usd"]) == (False, 2.5)
    assert (await credit(gateway, "ann", 0.5, "invoice-8"))["balance_usd"] == 3
    assert (await credit(gateway, "ann", -1, "refund-7"))["balance_usd"] == 2
    # The same id of another user is another payment.
    assert (await credit(gateway, "ben", 1, "invoice-7"))["balance_usd"] == 1


async def test_many_credits_at_once_are_all_added_and_one_of_many_copies(gateway: Instance) -> None:
    copies = [credit(gateway, "cat", 1, "copy") for _ in range(10)]
    others = [credit(gateway, "cat", 1, f"other-{number}") for number in range(10)]
    answers = await asyncio.gather(*copies, *others)
    assert [answer["credited"] for answer in answers[:10]].count(True) == 1
    assert (await balance(gateway, "cat"))["balance_usd"] == 11


async def test_credits_are_in_the_audit_log(gateway: Instance) -> None:
    await credit(gateway, "dan", "12.345678901", "invoice-9")
    page = (await gateway.http.get("/scalix/v1/audit")).json()
    (entry,) = [entry for entry in page["entries"] if entry["act"] == "user.credit"]
    assert entry["details"] == {"credit_id": "invoice-9", "amount_usd": 12.345678901}


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"credit_id": None}, "credit_id"),
        ({"credit_id": ""}, "credit_id"),
        ({"credit_id": "two words"}, "credit_id"),
        ({"credit_id": "x" * 129}, "credit_id"),
        ({"credit_id": 7}, "credit_id"),
        ({"amount_usd": 0}, "amount_usd"),
        ({"amount_usd": "much"}, "amount_usd"),
        ({"amount_usd": "NaN"}, "amount_usd"),
        ({"amount_usd": "1e400"}, "amount_usd"),
        ({"amount_usd": "1e-10"}, "amount_usd"),
        ({"amount_usd": True}, "amount_usd"),
        ({"amount_usd": 10**9}, "amount_usd"),
        ({"amount_usd": None}, "amount_usd"),
        ({"user_id": ""}, "user_id"),
        ({"amount": 1}, "amount"),
    ],
)
async def test_what_is_no_payment_is_refused(gateway: Instance, changes: dict[str, object], param: str) -> None:
    body = {"user_id": "eve", "amount_usd": 1, "credit_id": "x", **changes}
    answer = await gateway.http.post("/user/credit", json=body)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)
    assert (await balance(gateway, "eve"))["balance_usd"] is None


async def test_nobody_else_may_credit_or_look(gateway: Instance) -> None:
    key = (await gateway.http.post("/key/generate", json={"user_id": "fay"})).json()["key"]
    headers = {"authorization": f"Bearer {key}"}
    body = {"user_id": "fay", "amount_usd": 1, "credit_id": "x"}
    assert (await gateway.http.post("/user/credit", json=body, headers=headers)).status_code == 403
    assert (await gateway.http.get("/user/balance?user_id=fay", headers=headers)).status_code == 403


async def test_without_a_balance_nothing_is_served_and_the_message_says_what_to_do(gateway: Instance) -> None:
    answer = await gateway.ask("gus")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["scalix"]["limit"]) == (429, "insufficient_quota", "balance")
    assert error["message"] == (
        "You have no prepaid balance, and the prepaid tier needs one. Add credit at https://scalix.world/pricing."
    )
    await credit(gateway, "gus", "0.00001")
    error = (await gateway.ask("gus")).json()["error"]
    assert error["message"].startswith("Your prepaid balance is 0.00001 USD, and this request needs at least 0.0000")
    assert error["scalix"]["balance_usd"] == 0.00001
    assert not gateway.provider.served
    assert answer.headers["x-should-retry"] == "false"


async def test_what_is_billed_is_the_cost_times_the_markup_and_is_taken_from_the_balance(
    gateway: Instance, key_prefix: str
) -> None:
    for tier, billed in (("prepaid", COST_NANO_USD), ("dear", COST_NANO_USD * 3 // 2), ("billed", COST_NANO_USD)):
        user = f"in-{tier}"
        await in_tier(gateway, user, tier)
        await credit(gateway, user, 1)
        assert (await gateway.ask(user)).status_code == 200
        left = await balance(gateway, user)
        assert (left["balance_usd"], left["reserved_usd"]) == ((10**9 - billed) / 10**9, 0)
        (event,) = await events_of(gateway, key_prefix, user)
        assert (event.nano_usd, event.detail.charge_nano_usd) == (billed, billed)
        assert (event.detail.cost_nano_usd, event.detail.price_version) == (COST_NANO_USD, "info")


async def test_free_is_free_but_its_cost_is_recorded_and_limits_count_it(gateway: Instance, key_prefix: str) -> None:
    await in_tier(gateway, "hal", "free")
    await credit(gateway, "hal", 1)
    assert (await gateway.ask("hal")).status_code == 200
    assert (await balance(gateway, "hal"))["balance_usd"] == 1
    (event,) = await events_of(gateway, key_prefix, "hal")
    assert (event.detail.charge_nano_usd, event.detail.cost_nano_usd, event.nano_usd) == (0, *2 * (COST_NANO_USD,))
    info = (await gateway.http.get("/user/info?user_id=hal")).json()
    assert info["usage"]["cost_today_usd"] == COST_NANO_USD / 10**9


async def test_requests_at_once_never_take_more_than_the_balance(gateway: Instance) -> None:
    await credit(gateway, "ida", "0.0006")  # two reservations or so, and some thirty answers
    gateway.provider.gate.clear()
    asked = [asyncio.create_task(gateway.ask("ida")) for _ in range(20)]
    await until(
        lambda: gateway.provider.served and sum(map(asyncio.Task.done, asked)) + len(gateway.provider.served) == 20
    )
    held = await balance(gateway, "ida")
    assert 0 < held["reserved_usd"] <= held["balance_usd"] == 0.0006
    refused = [task.result().json()["error"] for task in asked if task.done()]
    assert refused
    assert {error["code"] for error in refused} == {"quota_reserved"}
    assert {error["scalix"]["limit"] for error in refused} == {"balance"}
    served = len(gateway.provider.served)
    gateway.provider.gate.set()
    await asyncio.gather(*asked)
    left = await balance(gateway, "ida")
    assert left["reserved_usd"] == 0
    assert round(left["balance_usd"] * 10**9) == 600_000 - served * COST_NANO_USD


async def test_a_balance_runs_out_to_the_last_request_and_not_beyond(gateway: Instance) -> None:
    await credit(gateway, "joe", "0.0005")
    codes = [(await gateway.ask("joe")).status_code for _ in range(40)]
    served = codes.count(200)
    assert codes == [200] * served + [429] * (40 - served)
    left = round((await balance(gateway, "joe"))["balance_usd"] * 10**9)
    assert left == 500_000 - served * COST_NANO_USD >= 0
    assert served > 20
    assert (await gateway.ask("joe")).json()["error"]["code"] == "insufficient_quota"


async def test_what_a_request_takes_beyond_its_reservation_is_owed(
    gateway: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    await credit(gateway, "kim", "0.001")
    monkeypatch.setattr(outage_rig, "USED", Usage(7, 5_000))
    assert (await gateway.ask("kim")).status_code == 200
    assert (await balance(gateway, "kim"))["balance_usd"] == (1_000_000 - 7_000 - 10_000_000) / 10**9
    assert (await gateway.ask("kim")).json()["error"]["scalix"]["limit"] == "balance"
    await credit(gateway, "kim", "0.01", "second")
    assert (await gateway.ask("kim")).status_code == 200


async def test_a_model_without_a_price_is_not_free_for_a_balance(gateway: Instance) -> None:
    await credit(gateway, "lea", 1)
    answer = await gateway.http.post(
        "/v1/chat/completions", json={**outage_rig.PROMPT, "model": "unpriced", "user": "lea"}
    )
    assert (answer.status_code, answer.json()["error"]["param"]) == (403, "model")
    assert "prepaid tier can't use it" in answer.json()["error"]["message"]


async def test_a_new_price_holds_from_its_moment_on_and_what_is_recorded_keeps_its_own(
    gateway: Instance, key_prefix: str
) -> None:
    await in_tier(gateway, "max", "billed")

    async def asked_at(prices: str) -> tuple[int, str]:
        gateway.config.write_text(CONFIG.replace("  prices: {", f"  prices: {{{prices}"), encoding="utf-8")
        gateway.reload()
        seen = {event.request_id for event in await events_of(gateway, key_prefix, "max")}
        assert (await gateway.ask("max")).status_code == 200
        events = {event.request_id: event.detail for event in await events_of(gateway, key_prefix, "max")}
        (new,) = (detail for name, detail in events.items() if name not in seen)
        return new.cost_nano_usd, new.price_version

    today = f"{datetime.now(UTC):%Y-%m-%d}"
    assert await asked_at("") == (COST_NANO_USD, "info")
    entry = "input_usd_per_million: 3, output_usd_per_million: 3"
    assert await asked_at(f"models: {{free-model: {{from: 2999-01-01, {entry}}}}}, ") == (COST_NANO_USD, "info")
    assert await asked_at(f"models: {{free-model: {{from: {today}, {entry}}}}}, ") == (12 * 3_000, today)
    assert await asked_at(f"models: {{free-model: {{{entry}, request_usd: 0.01}}}}, ") == (10_036_000, "config")
    versions = [event.detail.price_version for event in await events_of(gateway, key_prefix, "max")]
    assert sorted(versions) == sorted(["info", "info", today, "config"])


async def test_a_request_in_flight_costs_what_it_did_when_it_was_admitted(gateway: Instance, key_prefix: str) -> None:
    await in_tier(gateway, "nan", "billed")
    gateway.provider.gate.clear()
    asked = asyncio.create_task(gateway.ask("nan"))
    await until(lambda: gateway.provider.served)
    exchange: Exchange = gateway.provider.served[-1]
    gateway.config.write_text(CONFIG.replace(PRICE, "input_cost_per_token: 1e-3, output_cost_per_token: 1e-3"))
    gateway.reload()
    gateway.provider.gate.set()
    answer: httpx.Response = await asked
    assert answer.status_code == 200
    (event,) = await events_of(gateway, key_prefix, "nan")
    assert (event.detail.cost_nano_usd, event.detail.model) == (COST_NANO_USD, exchange.admission.model)
