"""The operators' routes of the ledger: differences by name, repair that is audited, an archive on demand."""

import json
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from scalix.domain.ledger.books import ALL_PARTS
from scalix.domain.ledger.people import numbers_text
from scalix.domain.limits.calendar import DAY_MS
from scalix.service.ledger.ledger_administration import PART_NAMES
from scalix.store.keys import Keys
from scalix.store.ledger.archive_files import day_text
from tests.edge.described import check_answer
from tests.edge.limits_rig import TOKENS, Instance


@pytest.fixture
async def gateway(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Instance]:
    instance = Instance(store_url, tmp_path, key_prefix, "worker")
    yield instance
    await instance.close()


async def get(gateway: Instance, path: str = "", **query: Any) -> httpx.Response:
    return await gateway.http.get(f"/scalix/v1/ledger{path}", params=query)


async def post(gateway: Instance, path: str, **body: Any) -> httpx.Response:
    return await gateway.http.post(f"/scalix/v1/ledger{path}", json=body)


async def use(gateway: Instance, *users: str) -> None:
    for user in users:
        for _ in range(2):
            assert (await gateway.ask(user)).status_code == 200


async def spoil(gateway: Instance, prefix: str, user: str) -> None:
    name = Keys(prefix).windows(f"user:{user}")
    for field in await gateway.core.store.client.hkeys(name):
        if field.startswith("d"):
            await gateway.core.store.client.hset(name, field, "41 1 1 0 0 0")


async def test_differences_are_named_mended_and_the_mending_is_audited(gateway: Instance, key_prefix: str) -> None:
    await use(gateway, "ann", "bob")
    assert (await get(gateway, "/verify")).json()["whole"] is True
    await spoil(gateway, key_prefix, "ann")
    found = (await get(gateway, "/verify")).json()
    assert (found["whole"], found["events"], found["from"]) == (False, 4, "store")
    (row,) = found["differences"]
    assert (row["where"], row["what"], row["found"]) == ("user:ann", "window", "41 1 1 0 0 0")
    assert re.fullmatch(r"day \d{4}-\d\d-\d\dT00:00:00Z", row["field"])
    assert row["right"].startswith(f"2 {2 * TOKENS} ")
    assert (await get(gateway, "/verify", user_id="bob")).json()["whole"] is True
    dry = (await post(gateway, "/repair", dry_run=True)).json()
    assert (dry["differences"], dry["mended"]) == ([row], 0)
    assert (await get(gateway, "/verify", user_id="ann")).json()["whole"] is False
    done = (await post(gateway, "/repair")).json()
    assert (done["mended"], done["left"]) == (1, [])
    assert (await get(gateway, "/verify")).json()["whole"] is True
    (entry,) = (await gateway.http.get("/scalix/v1/audit", params={"act": "ledger"})).json()["entries"]
    assert (entry["act"], entry["details"]["differences"]) == ("ledger.repair", 1)


async def test_each_part_of_the_books_that_differs_has_its_name(gateway: Instance, key_prefix: str) -> None:
    await use(gateway, "ann")
    client, names = gateway.core.store.client, Keys(key_prefix)
    for name in await client.keys(f"{key_prefix}{{s*"):
        if await client.type(name) == "zset":
            await client.zadd(name, {"odd user:ann": 1})
        elif name not in (names.people("user:ann"), names.events("user:ann", time.time_ns() // 10**6)):
            await client.hset(name, next(iter(await client.hkeys(name))), "9")
    today = str(time.time_ns() // 10**6 // DAY_MS)
    await client.hset(names.people("user:ann"), mapping={today: numbers_text({"u": 9}), "user:ann": today})
    rows = (await get(gateway, "/verify")).json()["differences"]
    # Who has few events has no list of them by time.
    assert {row["what"] for row in rows} == {PART_NAMES[part] for part in ALL_PARTS - {"events_in_time"}}
    (of_people,) = [row for row in rows if row["what"] == "users of the day"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", of_people["field"])


async def test_what_was_reset_and_what_is_in_flight_is_no_difference(gateway: Instance) -> None:
    await use(gateway, "ann")
    gateway.provider.gate.clear()
    await gateway.http.post("/user/reset", json={"user_id": "ann", "windows": "all"})
    assert (await get(gateway, "/verify")).json()["differences"] == []
    gateway.provider.gate.set()
    await use(gateway, "ann")
    assert (await get(gateway, "/verify")).json()["differences"] == []


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"day": "yesterday"}, "'day' must be a date such as 2026-11-01"),
        ({"day": "2999-01-01"}, "'day' must not be in the future"),
        ({"day": "2001-01-01"}, "no longer kept: retention is 35 days"),
        ({"days": "1"}, "The field 'days' is not known here"),
        ({"user_id": ""}, "'user_id' must be a printable text"),
    ],
)
async def test_what_can_not_be_checked_is_said(gateway: Instance, query: dict[str, str], message: str) -> None:
    for answer in (await get(gateway, "/verify", **query), await post(gateway, "/repair", **query)):
        assert answer.status_code == 400
        assert message in answer.json()["error"]["message"]


async def test_an_old_day_goes_to_a_file_is_exported_and_compared_from_there(
    gateway: Instance, key_prefix: str, tmp_path: Path
) -> None:
    old = time.time_ns() // 10**6 // DAY_MS - 5
    await use(gateway, "ann")
    keys, client = Keys(key_prefix), gateway.core.store.client
    today = time.time_ns() // 10**6
    name = keys.events("user:ann", today)
    moved = {
        one: re.sub(r"\b\d{13}\b", str(old * DAY_MS + 1), text) for one, text in (await client.hgetall(name)).items()
    }
    await client.hset(keys.events("user:ann", old * DAY_MS), mapping=moved)
    answer = await post(gateway, "/archive")
    assert "Say what is old" in answer.json()["error"]["message"]
    answer = (await post(gateway, "/archive", after_days=3)).json()
    check_answer("POST", "/scalix/v1/ledger/archive", answer)
    (done,) = answer["archived"]
    assert done["events"] == 2
    assert done["file"] == str(tmp_path / "worker" / "archive" / f"events-{done['day']}.jsonl.gz")
    status = (await get(gateway)).json()
    check_answer("GET", "/scalix/v1/ledger", status)
    assert status["archived"] == [{"day": done["day"], "file": done["file"]}]
    assert (await get(gateway, "/verify", day=done["day"])).json()["from"] == "archive"
    refused = await post(gateway, "/repair", day=done["day"])
    assert "That day is in the archive" in refused.json()["error"]["message"]
    found = [
        event
        for shard in range(256)
        for event in (await get(gateway, "/export", day=done["day"], shard=shard)).json()["events"]
    ]
    assert {event["id"] for event in found} == moved.keys()
    assert all(event["tokens"] == TOKENS for event in found)


async def test_its_state_says_how_full_the_store_is(gateway: Instance) -> None:
    state = (await get(gateway)).json()
    assert state["store"]["used_bytes"] > 0
    assert state["store"]["limit_is_maxmemory"] is False
    assert state["store"]["alarm"] is False
    assert state["retention"]["events_days"] == 35
    assert "store_memory_percent" not in (await gateway.http.get("/health/readiness")).text


async def test_readiness_tells_of_a_full_store_and_stays_ready(
    gateway: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = await gateway.core.store.client.info("memory")
    limit = info["used_memory"] * 100 // 85
    monkeypatch.setattr(gateway.core.ledger.memory._memory, "_machine_bytes", lambda: limit)
    await gateway.core.ledger.memory.look()
    answer = await gateway.http.get("/health/readiness")
    assert 80 <= json.loads(answer.text)["store_memory_percent"] <= 90


async def test_users_have_no_business_there(gateway: Instance) -> None:
    headers = {"authorization": "Bearer sk-nobody"}
    for path in ("", "/verify", "/export"):
        assert (await gateway.http.get(f"/scalix/v1/ledger{path}", headers=headers)).status_code == 401


async def test_an_export_of_a_day_that_is_at_another_machine_names_it(gateway: Instance) -> None:
    day = time.time_ns() // 10**6 // DAY_MS - 5
    await gateway.core.ledger.archive._store.note(day, "there:/files", "2 0", 60_000)
    for path, query in (("/verify", {}), ("/export", {"shard": 0})):
        answer = await get(gateway, path, day=day_text(day), **query)
        assert answer.status_code == 400
        assert "are in a file on there:/files" in answer.json()["error"]["message"]
    gone = await get(gateway, "/export", day="2001-01-01", shard=0)
    assert "no longer kept: retention is 35 days" in gone.json()["error"]["message"]
