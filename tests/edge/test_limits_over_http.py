"""Limits of users by HTTP, over a real store and two instances: what is changed on one holds on the other at once."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from scalix.launch.processes.log_format import LineFormatter
from tests.edge.limits_rig import TOKENS, Instance
from tests.service.outage_rig import MASTER_KEY

Pair = tuple[Instance, Instance]


@pytest.fixture
async def pair(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Pair]:
    instances = Instance(store_url, tmp_path, key_prefix, "a"), Instance(store_url, tmp_path, key_prefix, "b")
    yield instances
    for instance in instances:
        await instance.close()


@contextmanager
def within_one_hour() -> Iterator[None]:
    """Windows of the real clock are in play: the test is told apart from one that saw an hour begin."""
    before = datetime.now(UTC)
    try:
        yield
    except AssertionError:
        if datetime.now(UTC).hour != before.hour:
            pytest.skip("an hour began while this test ran")
        raise


def entry(answer: httpx.Response, name: str) -> dict[str, Any]:
    found = [item for item in answer.json()["limits"] if item["limit"] == name]
    assert len(found) == 1, answer.text
    return dict(found[0])


async def test_an_override_holds_from_the_next_request_on_everywhere_and_keeps_what_was_used(pair: Pair) -> None:
    a, b = pair
    with within_one_hour():
        assert [(await b.ask("alice")).status_code for _ in range(3)] == [200, 200, 429]
        put = await a.http.put("/user/limits", json={"user_id": "alice", "limits": {"requests": {"hour": 3}}})
        assert put.status_code == 200
        again = await b.ask("alice")
        assert again.status_code == 200
        assert again.headers["x-ratelimit-limit-requests"] == "3"
        assert again.headers["x-ratelimit-remaining-requests"] == "0"
        refused = await b.ask("alice")
        assert refused.status_code == 429
        assert refused.json()["error"]["scalix"]["limit_value"] == 3
        # Lower than what is used: refused, and nothing is lost.
        await a.http.put("/user/limits", json={"user_id": "alice", "limits": {"requests": {"hour": 1}}})
        assert (await b.ask("alice")).json()["error"]["scalix"]["used"] == 3
        await a.http.put("/user/limits", json={"user_id": "alice", "limits": {"requests": {"hour": None}}})
        assert (await b.ask("alice")).status_code == 200
        assert entry(await b.http.get("/user/limits?user_id=alice"), "requests-month")["used"] == 4


async def test_the_limits_of_a_user_are_shown_with_their_source(pair: Pair) -> None:
    a, b = pair
    own = {"requests": {"hour": {"limit": 20, "enforce": False}, "month": None}, "spend_usd": {"day": 2.5}}
    with within_one_hour():
        await a.http.put("/user/limits", json={"user_id": "alice", "limits": {**own, "concurrent": 3}})
        await a.ask("alice")
        answer = await b.http.get("/user/limits?user_id=alice")
        assert answer.status_code == 200
        hour_end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        assert entry(answer, "requests-hour") == {
            "limit": "requests-hour",
            "limit_value": 20,
            "used": 1,
            "reserved": 0,
            "remaining": 19,
            "reset_at": hour_end.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "source": "override",
            "enforce": False,
        }
    assert (entry(answer, "tokens-day")["used"], entry(answer, "tokens-day")["source"]) == (TOKENS, "tier")
    assert entry(answer, "spend_usd-day")["limit_value"] == 2.5
    lifted = entry(answer, "requests-month")
    assert (lifted["limit_value"], lifted["remaining"], lifted["used"]) == (None, None, 1)
    at_once = entry(answer, "concurrent")
    assert (at_once["limit_value"], at_once["used"], at_once["reset_at"]) == (3, 0, None)
    assert answer.json()["overrides"] == {**own, "concurrent": 3}
    info = (await b.http.get("/user/info?user_id=alice")).json()
    assert info["overrides"] == {**own, "concurrent": 3}
    assert [item["limit"] for item in info["limits"]] == ["requests-hour", "tokens-day", "spend_usd-day"]


async def test_overrides_come_with_a_new_user_and_with_an_update_too(pair: Pair) -> None:
    a, b = pair
    made = await a.http.post("/user/new", json={"user_id": "bob", "limits": {"requests": {"month": 1}}})
    assert made.status_code == 200
    with within_one_hour():
        assert [(await b.ask("bob")).status_code for _ in range(2)] == [200, 429]
        update = {"user_id": "bob", "limits": {"requests": {"month": 2}}}
        assert (await a.http.post("/user/update", json=update)).status_code == 200
        assert [(await b.ask("bob")).status_code for _ in range(2)] == [200, 429]
    # An update of something else leaves them, and {} takes them away.
    other = await a.http.post("/user/update", json={"user_id": "bob", "metadata": {"plan": "x"}})
    assert other.json()["overrides"] == {"requests": {"month": 2}}
    gone = await a.http.post("/user/update", json={"user_id": "bob", "limits": {}})
    assert gone.json()["overrides"] == {}


@pytest.mark.parametrize("path", ["/user/new", "/user/update", "/user/limits"])
async def test_limits_that_make_no_sense_are_a_400_that_names_the_field_and_change_nothing(
    pair: Pair, path: str
) -> None:
    a, _ = pair
    body = {"user_id": "carol", "limits": {"requests": {"hour": -1}}}
    answer = await a.http.request("PUT" if path == "/user/limits" else "POST", path, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "limits.requests.hour"
    assert answer.json()["error"]["message"] == (
        "'limits.requests.hour' is not 0 or a positive whole number: write a number such as 100, or null for no limit."
    )
    assert (await a.http.get("/user/info?user_id=carol")).status_code == 404


async def test_a_reset_gives_room_back_at_once_everywhere(pair: Pair) -> None:
    a, b = pair
    with within_one_hour():
        assert [(await a.ask("alice")).status_code for _ in range(3)] == [200, 200, 429]
        reset = await b.http.post("/user/reset", json={"user_id": "alice", "windows": ["requests-hour"]})
        assert reset.status_code == 200
        assert reset.json()["undone"] == {"requests-hour": 2}
        assert entry(reset, "requests-hour")["used"] == 0
        assert entry(reset, "requests-month")["used"] == 2
        assert entry(reset, "tokens-day")["used"] == 2 * TOKENS
        assert [(await a.ask("alice")).status_code for _ in range(3)] == [200, 200, 429]
        everything = await b.http.post("/user/reset", json={"user_id": "alice", "windows": "all"})
        assert {item["used"] for item in everything.json()["limits"]} == {0}
        assert everything.json()["undone"]["tokens-day"] == 4 * TOKENS
        # Somebody who was seen stays known.
        assert (await b.http.get("/user/limits?user_id=alice")).status_code == 200


async def test_what_a_request_in_flight_holds_stays_through_a_reset(pair: Pair) -> None:
    a, b = pair
    with within_one_hour():
        a.provider.gate.clear()
        running = asyncio.create_task(a.ask("alice"))
        while not a.provider.served:  # noqa: ASYNC110 - the provider is in this loop
            await asyncio.sleep(0)
        reset = await b.http.post("/user/reset", json={"user_id": "alice", "windows": "all"})
        assert (entry(reset, "requests-hour")["used"], entry(reset, "requests-hour")["reserved"]) == (0, 1)
        a.provider.gate.set()
        assert (await running).status_code == 200
        assert entry(await b.http.get("/user/limits?user_id=alice"), "requests-hour")["used"] == 1


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        (None, "'windows' must be \"all\" or a list of names"),
        ([], "'windows' must be \"all\" or a list of names"),
        ("requests-hour", "'windows' must be \"all\" or a list of names"),
        (["requests-hours"], "'requests-hours' is no window. Known are: requests-minute"),
        ([7], "'7' is no window."),
        ([{}], "'{}' is no window."),
    ],
)
async def test_a_reset_of_no_window_is_a_400(pair: Pair, windows: Any, message: str) -> None:
    answer = await pair[0].http.post("/user/reset", json={"user_id": "alice", "windows": windows})
    assert answer.status_code == 400
    assert answer.json()["error"]["message"].startswith(message)
    assert answer.json()["error"]["param"] == "windows"


async def test_somebody_unknown_has_no_limits_to_show_or_reset(pair: Pair) -> None:
    a, _ = pair
    assert (await a.http.get("/user/limits?user_id=nobody")).status_code == 404
    reset = await a.http.post("/user/reset", json={"user_id": "nobody", "windows": "all"})
    assert reset.json()["error"]["code"] == "user_not_found"
    assert (await a.http.get("/user/limits")).json()["error"]["param"] == "user_id"
    assert (await a.http.put("/user/limits", json={"user_id": "nobody"})).json()["error"]["param"] == "limits"


async def test_a_new_tier_keeps_what_was_used_and_brings_its_own_address(pair: Pair) -> None:
    a, b = pair
    with within_one_hour():
        assert [(await b.ask("alice")).status_code for _ in range(3)] == [200, 200, 429]
        await a.http.post("/user/update", json={"user_id": "alice", "tier": "pro"})
        assert [(await b.ask("alice")).status_code for _ in range(3)] == [200, 200, 200]
        refused = await b.ask("alice")
        assert refused.json()["error"]["scalix"] == {
            "tier": "pro",
            "limit": "requests-month",
            "limit_value": 5,
            "used": 5,
            "reset_at": refused.json()["error"]["scalix"]["reset_at"],
            "upgrade_url": "https://scalix.world/more",
        }
        assert refused.headers["x-scalix-warning"] == "requests-month 100%; upgrade=https://scalix.world/more"


async def test_a_reload_holds_for_the_next_request_and_keeps_what_was_used(pair: Pair) -> None:
    a, _ = pair
    with within_one_hour():
        assert [(await a.ask("alice")).status_code for _ in range(3)] == [200, 200, 429]
        a.config.write_text(a.config.read_text().replace("hour: 2", "hour: 3"))
        a.reload()
        assert [(await a.ask("alice")).status_code for _ in range(2)] == [200, 429]


async def test_the_shadow_lets_through_names_what_would_have_refused_and_counts_it(pair: Pair) -> None:
    a, b = pair
    await a.http.post("/user/new", json={"user_id": "tom", "tier": "trial"})
    first, second, third = await a.ask("tom"), await b.ask("tom"), await a.ask("tom")
    assert "x-scalix-shadow" not in first.headers
    assert second.headers["x-scalix-shadow"] == "requests-month"
    assert third.status_code == 200
    assert "x-scalix-warning" not in third.headers
    answer = (await b.http.get("/scalix/v1/shadow")).json()["would_have_refused"]
    assert [(item["tier"], item["limit"]) for item in answer] == [("trial", "any"), ("trial", "requests-month")]
    assert [item["requests"] for item in answer] == [2, 2]
    assert answer[0]["day"] == datetime.now(UTC).strftime("%Y-%m-%d")
    assert (await b.http.get("/scalix/v1/shadow?days=0")).status_code == 400
    assert (await b.http.get("/scalix/v1/shadow?days=x")).json()["error"]["param"] == "days"


async def test_a_path_answers_each_of_its_methods_and_names_them_for_others(pair: Pair) -> None:
    a, _ = pair
    for method, path, allow in [
        ("POST", "/user/limits", "GET, HEAD, PUT"),
        ("DELETE", "/user/limits", "GET, HEAD, PUT"),
        ("GET", "/user/reset", "POST"),
        ("PUT", "/v1/chat/completions", "POST"),
        ("POST", "/scalix/v1/shadow", "GET, HEAD"),
    ]:
        answer = await a.http.request(method, path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allow)
        assert answer.json()["error"]["code"] == "method_not_allowed"


async def test_only_the_operator_may(pair: Pair) -> None:
    a, _ = pair
    for method, path in [
        ("GET", "/user/limits?user_id=alice"),
        ("PUT", "/user/limits"),
        ("POST", "/user/reset"),
        ("GET", "/scalix/v1/shadow"),
    ]:
        for headers in ({"authorization": "Bearer sk-wrong"}, {"authorization": ""}):
            assert (await a.http.request(method, path, headers=headers)).status_code == 401


async def test_every_act_is_recorded_in_one_line_without_a_secret(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    a, _ = pair
    odd = "eve\u2028\N{SNOWMAN}"  # printable is what a user id must be; the first character is not
    assert (await a.http.post("/user/new", json={"user_id": odd})).status_code == 400
    with caplog.at_level(logging.INFO, logger="scalix.audit"):
        body: dict[str, Any] = {"user_id": 'eve "x"', "metadata": {"note": "canary-private"}, "tier": "pro"}
        await a.http.post("/user/new", json={**body, "auto_create_key": False})
        limits = {"requests": {"hour": 1}}
        put = await a.http.put("/user/limits", json={"user_id": 'eve "x"', "limits": limits})
        await a.ask('eve "x"')
        await a.http.post("/user/reset", json={"user_id": 'eve "x"', "windows": ["requests-hour"]})
        await a.http.post("/user/delete", json={"user_ids": ['eve "x"']})
    records = [record for record in caplog.records if record.name == "scalix.audit"]
    lines = [LineFormatter(as_json=as_json).format(record) for record in records for as_json in (True, False)]
    acts = [json.loads(line) for line in lines[::2]]
    assert all(len(line) < 300 for line in lines[1::2])  # a person reads these
    assert [act["act"] for act in acts] == ["user.new", "user.limits", "user.reset", "user.delete"]
    # One pseudonym for the user, who is named nowhere.
    ((named, actor),) = {(act["object"], act["actor"]) for act in acts}
    assert (named[:7], len(named), actor) == ("user:p-", 23, "operator:master")
    assert all("eve " not in line for line in lines)
    assert (acts[1]["before"], acts[1]["after"]) == ({}, limits)
    assert acts[1]["request_id"] == put.headers["x-request-id"]
    assert (acts[2]["details"], acts[2]["before"]) == ({"windows": ["requests-hour"]}, {"requests-hour": 1})
    assert all("\n" not in line and "canary-private" not in line and MASTER_KEY not in line for line in lines)


async def test_changes_made_at_once_all_hold(pair: Pair) -> None:
    a, b = pair
    changes = [
        a.http.post("/user/update", json={"user_id": "dan", "blocked": True}),
        b.http.put("/user/limits", json={"user_id": "dan", "limits": {"concurrent": 1}}),
        a.http.post("/user/update", json={"user_id": "dan", "tier": "pro"}),
        b.http.post("/user/update", json={"user_id": "dan", "metadata": {"a": 1}}),
    ]
    assert {answer.status_code for answer in await asyncio.gather(*changes)} == {200}
    info = (await a.http.get("/user/info?user_id=dan")).json()
    assert (info["blocked"], info["tier"], info["metadata"], info["overrides"]) == (
        True,
        "pro",
        {"a": 1},
        {"concurrent": 1},
    )
