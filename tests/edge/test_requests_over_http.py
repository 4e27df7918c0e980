"""Requests over the edge: everybody's to the operator, their own alone to users, one by its id, bounded searches."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.limits.quota import Outcome
from scalix.domain.requests.request_ids import request_id as made
from scalix.service.usage import event_search
from scalix.store.base import UserRecord
from tests.edge.limits_rig import Instance
from tests.edge.usage_rig import DAY_MS, client_of, key_for, now_ms, settle

Make = Callable[..., Instance]
REQUESTS = "/scalix/v1/requests"


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Make]:
    instances: list[Instance] = []

    def make(**environ: str) -> Instance:
        instances.append(Instance(store_url, tmp_path, key_prefix, f"worker-{len(instances)}", **environ))
        return instances[-1]

    yield make
    for instance in instances:
        await instance.close()


async def got(instance: Instance, path: str = REQUESTS, status: int = 200, **query: Any) -> dict[str, Any]:
    answer = await instance.http.get(path, params=query)
    assert answer.status_code == status, answer.text
    return dict(answer.json())


async def some_requests(instance: Instance) -> list[str]:
    """Nine requests of three users over two days, each a second before the one before; their ids, newest first."""
    at_ms = await now_ms(instance)
    ids = []
    for number in range(9):
        then_ms = at_ms - number * 1_000 - (number > 5) * DAY_MS
        detail: dict[str, Any] = {"model": "gpt-4", "served": "gpt-4"} if number % 3 == 1 else {}
        if number == 4:
            detail |= {"error": "timeout", "outcome": Outcome.PROVIDER_FAILED}
        if number == 7:
            detail |= {"error": "auth", "outcome": Outcome.PROVIDER_FAILED}
        one = made(None, lambda count: f"{count:02x}" * count, then_ms)
        ids.append(await settle(instance, ["ann", "ben", "cid"][number % 3], at_ms=then_ms, request_id=one, **detail))
    return ids


async def test_the_operator_sees_everybodys_requests_newest_first_by_cursor_and_by_filters(make: Make) -> None:
    a = make()
    ids = await some_requests(a)
    pages, cursor = [], None
    while True:
        page = await got(a, limit=4, **({"cursor": cursor} if cursor else {}))
        pages.append([one["id"] for one in page["requests"]])
        cursor = page["next_cursor"]
        assert page["searched_until"] is None
        if cursor is None:
            break
    assert pages == [ids[:4], ids[4:8], ids[8:]]
    assert [one["user_id"] for one in (await got(a, limit=3))["requests"]] == ["ann", "ben", "cid"]
    today = (await got(a, limit=1))["requests"][0]["time"][:10]
    for query, numbers in (
        ({"model": "gpt-4"}, [1, 4, 7]),
        ({"outcome": "provider_failed"}, [4, 7]),
        ({"error": "timeout"}, [4]),
        ({"error": "auth"}, [7]),
        ({"user_id": "ann"}, [0, 3, 6]),
        ({"user_id": "ben", "error": "timeout"}, [4]),
        ({"to": (await got(a))["requests"][5]["time"]}, [6, 7, 8]),
    ):
        assert [one["id"] for one in (await got(a, **query))["requests"]] == [ids[number] for number in numbers], query
    assert {one["time"][:10] for one in (await got(a, **{"from": today}))["requests"]} == {today}
    text = (await a.http.get(REQUESTS, params={"format": "csv", "limit": 2})).text
    assert text.startswith("user_id,id,time")
    for query in ({"error": "odd"}, {"outcome": "odd"}, {"limit": "0"}, {"cursor": "odd"}, {"odd": "1"}):
        assert (await got(a, status=400, **query))["error"]["param"] == next(iter(query))
    assert (await got(a, status=404, user_id="nobody"))["error"]["code"] == "user_not_found"


async def test_an_alias_finds_the_requests_of_its_key_among_everybodys(make: Make) -> None:
    a = make()
    key = await key_for(a, "ann", key_alias="anns")
    key_id = (await got(a, "/key/info", key=key["token"]))["info"].get("key_id") or ""
    at_ms = await now_ms(a)
    stored = [one async for one in a.core.store.keys.all()]
    key_id = key_id or stored[0].key_id
    mine = await settle(a, "ann", at_ms=at_ms, key_id=key_id)
    await settle(a, "ann", at_ms=at_ms - 1)
    await settle(a, "ben", at_ms=at_ms - 2)
    for word in ("anns", key_id):
        (one,) = (await got(a, key=word))["requests"]
        assert (one["id"], one["key"]) == (mine, "anns")
    assert (await got(a, key="nobodys"))["requests"] == []


async def test_users_see_their_own_requests_alone_whatever_they_ask_for(make: Make) -> None:
    a = make()
    ids = await some_requests(a)
    key = await key_for(a, "ben")
    async with client_of(a, key["key"]) as client:
        page = (await client.get(REQUESTS)).json()
        assert [one["id"] for one in page["requests"]] == [ids[1], ids[4], ids[7]]
        assert {one["user_id"] for one in page["requests"]} == {"ben"}
        assert "provider_cost_usd" not in str(page)
        # That our own account is at fault is nobody's business, also as a filter.
        assert [one["error"] for one in page["requests"]] == [None, "timeout", "provider_down"]
        assert (await client.get(REQUESTS, params={"error": "auth"})).json()["requests"] == []
        assert (await client.get(REQUESTS, params={"user_id": "ann"})).status_code == 403
        for number, request_id in enumerate(ids):
            answer = await client.get(f"{REQUESTS}/{request_id}")
            assert answer.status_code == (200 if number % 3 == 1 else 404), number
            assert (await client.get(f"{REQUESTS}/{request_id}?user_id=ann")).status_code == 403
        assert "attempts" not in (await client.get(f"{REQUESTS}/{ids[1]}")).json()


async def test_the_operator_finds_one_request_by_its_id_with_its_attempts(make: Make) -> None:
    a = make()
    at_ms = await now_ms(a)
    detail: dict[str, Any] = {
        "deployment": "west",
        "engine": "direct",
        "failed_deployments": ("east:direct:timeout", "a:b:litellm:provider_down"),
        "first_token_ms": 40,
    }
    made_id = made("mine-1", lambda count: "0f" * count, at_ms - 3_000)
    await settle(a, "ann", at_ms=at_ms, request_id=made_id, cost=2_000_000, charge=3_000_000, **detail)
    found = await got(a, f"{REQUESTS}/{made_id}")
    assert found["attempts"] == [
        {"deployment": "east", "engine": "direct", "error": "timeout"},
        {"deployment": "a:b", "engine": "litellm", "error": "provider_down"},
        {"deployment": "west", "engine": "direct", "error": None},
    ]
    assert (found["user_id"], found["provider_cost_usd"], found["cost_usd"]) == ("ann", 0.002, 0.003)
    assert (found["latency_ms"], found["first_token_ms"]) == (100, 40)
    assert found["time"] < found["ended_at"]
    # One whose id says no time is found in its user's days.
    await settle(a, "ann", at_ms=at_ms - 5 * DAY_MS, request_id="batch-0001")
    refused = await got(a, f"{REQUESTS}/batch-0001", status=404)
    assert refused["error"]["code"] == "request_not_found"
    assert "user_id" in refused["error"]["message"]
    assert (await got(a, f"{REQUESTS}/batch-0001", user_id="ann"))["id"] == "batch-0001"
    assert (await got(a, f"{REQUESTS}/batch-0001", status=404, user_id="ben"))["error"]["code"] == "request_not_found"


async def test_a_request_that_was_asked_is_found_by_the_id_that_its_answer_tells(make: Make) -> None:
    a = make()
    answer = await a.ask("ann")
    assert (await got(a, f"{REQUESTS}/{answer.headers['x-request-id']}"))["user_id"] == "ann"


async def test_a_filter_that_little_fits_says_how_far_it_has_searched_and_goes_on_from_there(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_search, "MOST_SEARCHED", 20)
    a = make()
    at_ms = await now_ms(a)
    for number in range(50):
        await settle(a, f"u{number % 5}", at_ms=at_ms - number * 1_000, model="rare" if number == 45 else "gpt-4")
    for whose in ({}, {"user_id": "u0"}):
        query: dict[str, Any] = {"model": "rare", "limit": 1, **whose}
        pages = [await got(a, **query)]
        while pages[-1]["next_cursor"]:
            assert len(pages) < 5
            pages.append(await got(a, **query, cursor=pages[-1]["next_cursor"]))
        assert [one["model"] for page in pages for one in page["requests"]] == ["rare"]
        if not whose:
            assert [len(page["requests"]) for page in pages] == [0, 0, 1]
            assert pages[0]["searched_until"] > pages[1]["searched_until"] > pages[2]["requests"][0]["time"][:19]


async def test_users_are_listed_by_name_by_cursor_and_by_what_their_names_begin_with(make: Make) -> None:
    a = make()
    names = [f"{letter}{number:03d}" for letter in ("ann", "anne", "é", "zed") for number in range(30)]
    for name in names:
        await a.core.store.users.create(UserRecord(name, tier="free"))
    for prefix, size in (("", 7), ("ann", 9), ("anne", 100), ("é", 4), ("nobody", 3)):
        found, cursor = [], ""
        while cursor is not None:
            page = await got(a, "/user/list", cursor=cursor, prefix=prefix, page_size=size)
            assert len(page["users"]) <= size
            assert page["total"] == len(names)
            found += [one["user_id"] for one in page["users"]]
            cursor = page["next_cursor"]
        assert found == [name for name in sorted(names) if name.startswith(prefix)], prefix
    assert (await got(a, "/user/list", status=400, prefix="x" * 999))["error"]["param"] == "prefix"
