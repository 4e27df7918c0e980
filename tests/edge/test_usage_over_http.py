"""Usage and its events through the edge: to each caller their own, and to nobody another's."""

import csv
import io
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.limits.quota import Outcome
from tests.edge.limits_rig import TOKENS, Instance
from tests.edge.usage_rig import DAY_MS, client_of, key_for, now_ms, settle

Make = Callable[..., Instance]
USAGE, EVENTS = "/scalix/v1/usage", "/scalix/v1/usage/events"


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Make]:
    made: list[Instance] = []

    def make(**environ: str) -> Instance:
        made.append(Instance(store_url, tmp_path, key_prefix, f"worker-{len(made)}", **environ))
        return made[-1]

    yield make
    for instance in made:
        await instance.close()


async def got(instance: Instance, path: str, token: str | None = None, **query: Any) -> dict[str, Any]:
    if token is None:
        answer = await instance.http.get(path, params=query)
    else:
        async with client_of(instance, token) as client:
            answer = await client.get(path, params=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def test_a_user_sees_what_was_counted_and_what_is_left(make: Make) -> None:
    a = make()
    key = await key_for(a, "ann")
    assert (await a.ask("ann")).status_code == 200
    await a.http.post("/key/update", json={"key": key["token"], "rpm_limit": 5})
    found = await got(a, USAGE, key["key"])
    assert {name: found[name] for name in ("user_id", "tier", "requests_today", "tokens_today")} == {
        "user_id": "ann",
        "tier": "free",
        "requests_today": 1,
        "tokens_today": TOKENS,
    }
    assert (found["requests_this_hour"], found["requests_in_flight"]) == (1, 0)
    assert found["cost_today_usd"] == pytest.approx(TOKENS / 1e6)
    limits = {limit["limit"]: limit for limit in found["limits"]}
    assert limits["requests-hour"] == {
        "limit": "requests-hour",
        "limit_value": 2,
        "used": 1,
        "reserved": 0,
        "remaining": 1,
        "reset_at": limits["requests-hour"]["reset_at"],
    }
    assert limits["tokens-day"]["remaining"] == 10_000 - TOKENS
    assert limits["requests-hour"]["reset_at"].endswith(":00:00Z")
    assert found["key"]["key_name"] == f"sk-...{key['key'][-4:]}"
    assert [limit["limit"] for limit in found["key"]["limits"]] == ["key-requests-minute"]
    (day,), (model,) = found["by_day"], found["by_model"]
    assert day["date"] == found["time"][:10]
    assert (model["model"], model["requests"], model["tokens"]) == ("free-model", 1, TOKENS)
    assert {**day, "date": None} == {**{name: model[name] for name in model if name != "model"}, "date": None}
    assert "balance_usd" not in found


async def test_days_and_models_are_summed_over_the_days_that_are_asked_for(make: Make) -> None:
    a = make()
    today = await now_ms(a)
    await settle(a, "ann", at_ms=today, tokens=10, served="gpt-4", charge=3_000)
    await settle(a, "ann", at_ms=today, tokens=20, served="gpt-4", charge=4_000)
    await settle(a, "ann", at_ms=today - 2 * DAY_MS, tokens=400, served="claude", charge=5_000)
    await settle(a, "ann", at_ms=today - 9 * DAY_MS, tokens=1, served="old", charge=1)
    found = await got(a, USAGE, user_id="ann", days=8)
    assert [(day["requests"], day["tokens"], day["cost_usd"]) for day in found["by_day"]] == [
        (1, 400, 5e-6),
        (2, 30, 7e-6),
    ]
    assert [(model["model"], model["tokens"]) for model in found["by_model"]] == [("claude", 400), ("gpt-4", 30)]
    assert found["cost_today_usd"] == 7e-6
    assert [model["model"] for model in (await got(a, USAGE, user_id="ann"))["by_model"]][-1] == "old"


async def test_users_see_what_they_are_billed_and_only_the_operator_what_providers_take(make: Make) -> None:
    a = make()
    await settle(a, "ann", at_ms=await now_ms(a), cost=777_000_000, charge=2_000_000, error="auth", provider="azure")
    key = await key_for(a, "ann")
    for path in (USAGE, EVENTS):
        async with client_of(a, key["key"]) as client:
            text = (await client.get(path)).text
        assert "0.777" not in text
        assert "azure" not in text
        assert "provider_cost" not in text
    (theirs,) = (await got(a, EVENTS, key["key"]))["events"]
    assert (theirs["cost_usd"], theirs["error"]) == (0.002, "provider_down")
    (ours,) = (await got(a, EVENTS, user_id="ann"))["events"]
    assert (ours["cost_usd"], ours["provider_cost_usd"], ours["provider"], ours["error"]) == (
        0.002,
        0.777,
        "azure",
        "auth",
    )


async def test_nobody_sees_another_users_usage_by_any_parameter(make: Make) -> None:
    a = make()
    at_ms = await now_ms(a)
    secret_id = await settle(a, "ben", at_ms=at_ms, request_id="request-of-ben", tokens=4_321, model="bens-model")
    await settle(a, "ann", at_ms=at_ms - 5, request_id="request-of-ann")
    await settle(a, "ann", at_ms=at_ms - 6, request_id="another-of-ann")
    ann, ben = await key_for(a, "ann"), await key_for(a, "ben", key_alias="bens-key")
    bens_cursor = None
    await settle(a, "ben", at_ms=at_ms - 1, request_id="second-of-ben")
    bens_cursor = (await got(a, EVENTS, ben["key"], limit=1))["next_cursor"]
    assert bens_cursor
    tries: list[dict[str, str]] = [
        {"user_id": "ben"},
        {"user_id": "user:ben"},
        {"user": "ben"},
        {"subject": "user:ben"},
        {"key": "bens-key"},
        {"key": ben["token"]},
        {"cursor": bens_cursor},
        {"model": "bens-model"},
        {"user_id": ""},
        {"user_id": "ben\x00"},
        {"limit": "1000", "cursor": "user:ben"},
    ]
    async with client_of(a, ann["key"]) as client:
        for path in (USAGE, EVENTS):
            for query in tries:
                answer = await client.get(path, params=query)
                assert answer.status_code in (200, 400, 403), answer.text
                assert secret_id not in answer.text
                assert "second-of-ben" not in answer.text
                assert "4321" not in answer.text
        for query in ({"user_id": "ben"}, {"user_id": "user:ben"}):
            assert (await client.get(USAGE, params=query)).status_code == 403
        assert (await client.get(f"{USAGE}?user_id=ann&user_id=ben")).json()["user_id"] == "ann"
        assert (await client.get(USAGE, params={"user_id": "ann"})).json()["user_id"] == "ann"
        headers = {"x-scalix-user": "ben", "x-litellm-end-user-id": "ben"}
        assert (await client.get(USAGE, headers=headers)).json()["user_id"] == "ann"


async def test_the_operator_sees_any_user_and_not_one_that_nobody_knows(make: Make) -> None:
    a = make()
    await a.http.post("/user/new", json={"user_id": "ann", "tier": "pro", "limits": {"requests": {"hour": 7}}})
    await a.http.post("/user/update", json={"user_id": "ann", "blocked": True})
    found = await got(a, USAGE, user_id="ann")
    assert (found["user_id"], found["tier"]) == ("ann", "pro")
    assert {limit["limit"]: (limit["limit_value"], limit["source"]) for limit in found["limits"]} == {
        "requests-hour": (7, "override"),
        "requests-month": (5, "tier"),
    }
    assert (await a.http.get(USAGE, params={"user_id": "nobody"})).status_code == 404
    own = await got(a, USAGE)
    assert (own["user_id"], own["tier"], own["limits"]) == ("operator:master", None, [])


async def test_a_prepaid_balance_is_shown_to_its_user(make: Make) -> None:
    a = make()
    key = await key_for(a, "ann")
    await a.core.usage.usage.balances.credit("user:ann", 2_500_000_000, "paid-1")
    await settle(a, "ann", at_ms=await now_ms(a), cost=400_000_000, charge=500_000_000)
    found = await got(a, USAGE, key["key"])
    assert (found["balance_usd"], found["balance_reserved_usd"], found["cost_today_usd"]) == (2.0, 0.0, 0.5)


async def test_a_limit_that_refuses_nobody_is_the_operators_to_see(make: Make) -> None:
    a = make()
    await a.http.post("/user/new", json={"user_id": "ann", "tier": "trial"})
    key = await key_for(a, "ann")
    assert (await got(a, USAGE, key["key"]))["limits"] == []
    assert len((await got(a, USAGE, user_id="ann"))["limits"]) == 2


async def test_events_come_newest_first_in_pages_that_stay_as_they_are(make: Make) -> None:
    a = make()
    newest = await now_ms(a)
    times = [newest - DAY_MS, newest - DAY_MS + 1, newest - 7, newest - 7, newest - 3, newest - 2 * DAY_MS]
    ids = [await settle(a, "ann", at_ms=at_ms, request_id=f"r{number}") for number, at_ms in enumerate(times)]
    expected = ["r4", "r3", "r2", "r1", "r0", "r5"]
    assert sorted(expected) == ids
    seen: list[str] = []
    query: dict[str, Any] = {"user_id": "ann", "limit": 2}
    while True:
        page = await got(a, EVENTS, **query)
        seen += [event["id"] for event in page["events"]]
        assert len(page["events"]) <= 2
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
        await settle(a, "ann", at_ms=await now_ms(a))  # a later one belongs to no page that has begun
    assert seen == expected


async def test_an_event_tells_all_that_is_kept_of_a_request(make: Make) -> None:
    a = make()
    key = await key_for(a, "ann", key_alias="laptop")
    at_ms = await now_ms(a) // 1000 * 1000 + 7 - 2_000
    record = await a.core.administration.keys.keys.find(key["token"])
    assert record
    await settle(
        a,
        "ann",
        at_ms=at_ms,
        request_id="r1",
        key_id=record.key_id,
        model="gpt-4",
        served="claude",
        first_token_ms=30,
        streamed=True,
        fallbacks=("gpt-4",),
        price_version="map:1",
    )
    (event,) = (await got(a, EVENTS, key["key"]))["events"]
    assert event == {
        "id": "r1",
        "time": event["time"],
        "model": "gpt-4",
        "model_served": "claude",
        "tier": "free",
        "key": "laptop",
        "key_id": record.key_id,
        "outcome": "success",
        "error": None,
        "requests": 1,
        "tokens": 10,
        "prompt_tokens": 5,
        "completion_tokens": 5,
        "cached_tokens": 0,
        "reasoning_tokens": 0,
        "estimated": False,
        "charge_usd": 1.5e-6,
        "cost_usd": 1.5e-6,
        "latency_ms": 100,
        "first_token_ms": 30,
        "stream": True,
        "cache_hit": False,
        "fallbacks": ["gpt-4"],
    }
    assert event["time"].endswith(".007Z")


async def test_filters_take_what_fits(make: Make) -> None:
    a = make()
    at_ms = await now_ms(a)
    key = await key_for(a, "ann", key_alias="laptop")
    record = await a.core.administration.keys.keys.find(key["token"])
    assert record
    await settle(a, "ann", at_ms=at_ms, request_id="served", served="claude", key_id=record.key_id)
    await settle(a, "ann", at_ms=at_ms - 1, request_id="failed", served="", outcome=Outcome.PROVIDER_FAILED, tokens=0)
    await settle(a, "ann", at_ms=at_ms - 3 * DAY_MS, request_id="old")

    async def ids(**query: str) -> list[str]:
        found = await got(a, EVENTS, user_id="ann", **query)
        return [event["id"] for event in found["events"]]

    three_days_ago = (await got(a, EVENTS, user_id="ann"))["events"][2]["time"]
    assert await ids(model="claude") == ["served"]
    assert await ids(model="free-model") == ["served", "failed", "old"]
    assert await ids(outcome="provider_failed") == ["failed"]
    assert await ids(key="laptop") == ["served"]
    assert await ids(key=record.key_id) == ["served"]
    assert await ids(key="phone") == []
    assert await ids(to=three_days_ago[:10]) == ["old"]
    assert await ids(**{"from": three_days_ago, "to": three_days_ago[:10]}) == ["old"]
    assert await ids(to=three_days_ago) == []
    assert await ids(**{"from": three_days_ago.replace("Z", "+00:00"), "model": "nothing"}) == []


@pytest.mark.parametrize(
    ("path", "query"),
    [
        *[(EVENTS, query) for query in ("limit=0", "limit=1001", "limit=x", "cursor=", "cursor=%00", "cursor=!!!")],
        *[(EVENTS, query) for query in ("cursor=MTIz", "from=yesterday", "from=2026-01-01T00:00:00", "to=99999-01-01")],
        *[(EVENTS, query) for query in ("outcome=ok", "format=xml", "page=2", "from=2026-02-02%26to=2026-02-01")],
        *[(USAGE, query) for query in ("days=0", "days=401", "days=-1", "days=%D9%A1", "hours=1", "user_id=%00")],
    ],
)
async def test_a_wrong_query_is_one_clear_400(make: Make, path: str, query: str) -> None:
    answer = await make().http.get(f"{path}?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_from_after_to_is_a_400(make: Make) -> None:
    answer = await make().http.get(EVENTS, params={"from": "2026-02-02", "to": "2026-02-01"})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "from")


async def test_events_as_csv_and_json_lines(make: Make) -> None:
    a = make()
    at_ms = await now_ms(a)
    await settle(a, "ann", at_ms=at_ms, request_id="r2", fallbacks=("a", "b"))
    await settle(a, "ann", at_ms=at_ms - 1, request_id="r1")
    key = await key_for(a, "ann")
    async with client_of(a, key["key"]) as client:
        plain = await client.get(EVENTS, params={"format": "csv", "limit": 1})
        assert plain.headers["content-type"] == "text/csv; charset=utf-8"
        (row,) = csv.DictReader(io.StringIO(plain.text, newline=""))
        assert row["charge_usd"] == row["cost_usd"]
        assert (row["id"], row["cost_usd"], row["first_token_ms"], row["fallbacks"], row["stream"]) == (
            "r2",
            "0.0000015",
            "",
            "a, b",
            "false",
        )
        cursor = plain.headers["x-scalix-next-cursor"]
        lines = await client.get(EVENTS, params={"cursor": cursor}, headers={"accept": "application/x-ndjson"})
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert "x-scalix-next-cursor" not in lines.headers
        assert [json.loads(line)["id"] for line in lines.text.splitlines()] == ["r1"]
        by_header = await client.get(EVENTS, headers={"accept": "text/html, text/csv;q=0.9"})
        assert by_header.text.splitlines()[0] == plain.text.splitlines()[0]
        assert (await client.get(EVENTS, params={"format": "json"}, headers={"accept": "text/csv"})).json()["events"]
    assert "provider_cost_usd" not in plain.text
    assert "provider_cost_usd" in (await a.http.get(EVENTS, params={"user_id": "ann", "format": "csv"})).text


async def test_a_cell_that_a_spreadsheet_would_run_is_text(make: Make) -> None:
    a = make()
    for number, name in enumerate(("=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =cmd|x", 'a"b,c')):
        await settle(a, "ann", at_ms=await now_ms(a), request_id=f"r{number}", model=name, served="")
    answer = await a.http.get(EVENTS, params={"user_id": "ann", "format": "csv"})
    cells = {row["id"]: row["model"] for row in csv.DictReader(io.StringIO(answer.text, newline=""))}
    assert cells == {
        "r0": "'=1+1",
        "r1": "'+1",
        "r2": "'-1",
        "r3": "'@SUM(A1)",
        "r4": "'\t=1",
        "r5": "' =cmd|x",
        "r6": 'a"b,c',
    }


async def test_a_revoked_key_sees_nothing_more_on_any_instance(make: Make) -> None:
    a, b = make(), make()
    key = await key_for(a, "ann")
    await got(b, USAGE, key["key"])
    await a.http.post("/key/delete", json={"keys": [key["token"]]})
    async with client_of(b, key["key"]) as client:
        assert (await client.get(USAGE)).status_code == 401
        assert (await client.get(EVENTS)).status_code == 401


async def test_a_user_that_there_is_not_is_no_user_without_requests(make: Make) -> None:
    a = make()
    await a.http.post("/user/new", json={"user_id": "idle"})
    assert (await got(a, EVENTS, user_id="idle"))["events"] == []
    assert (await a.ask("ann")).status_code == 200
    assert (await got(a, EVENTS, user_id="ann", model="another"))["events"] == []
    answer = await a.http.get(EVENTS, params={"user_id": "anm"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "user_not_found")
