"""The audit log through the edge: every act and every refusal of identity, in pages and as a chain."""

import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.fernet import Fernet

from scalix.domain.ledger.audit_chain import Link, Sealer
from scalix.domain.ledger.audit_check import ChainCheck, Report
from scalix.store.base import StoreUnavailable
from scalix.store.keys import Keys
from tests.edge.limits_rig import Instance
from tests.service.outage_rig import MASTER_KEY

PREVIOUS, AUDIT_KEY = "sk-test-previous-0123456789abcdef01234567", "audit-key-0123456789abcdef0123456789"
Make = Callable[..., Instance]


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Make]:
    made: list[Instance] = []

    def make(**environ: str) -> Instance:
        made.append(Instance(store_url, tmp_path, key_prefix, f"worker-{len(made)}", **environ))
        return made[-1]

    yield make
    for instance in made:
        await instance.close()


async def entries(instance: Instance, **query: str | int) -> list[dict[str, Any]]:
    answer = await instance.http.get("/scalix/v1/audit", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["entries"]
    return found


async def check(instance: Instance, *keys: str) -> Report:
    chain, after = ChainCheck(Sealer(keys)), 0
    while True:
        answer = (await instance.http.get("/scalix/v1/audit/chain", params={"after": after, "limit": 3})).json()
        for entry in answer["entries"]:
            chain.take(Link(**entry))
            after = entry["seq"]
        if not answer["entries"]:
            return chain.finish(answer["given_seq"])


async def get_with(instance: Instance, token: str | None, path: str = "/v1/models") -> httpx.Response:
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    async with httpx.AsyncClient(transport=instance.http._transport, base_url="http://gateway") as client:
        return await client.get(path, headers=headers)


async def test_every_act_says_who_what_from_where_before_and_after(make: Make) -> None:
    a, b = make(), make()
    await a.http.post(
        "/user/new",
        json={"user_id": "ann", "auto_create_key": False, "tier": "pro", "metadata": {"note": "canary-private"}},
    )
    await b.http.post("/user/update", json={"user_id": "ann", "tier": "open", "blocked": True})
    await a.http.put("/user/limits", json={"user_id": "ann", "limits": {"requests": {"hour": 1}}})
    await b.http.post("/scalix/v1/tokens/revoke", json={"user_id": "ann", "jti": "canary-jti"})
    await a.http.post("/scalix/v1/merge", json={"user_id": "ann", "address": "198.51.100.7"})
    await a.http.post("/scalix/v1/merge", json={"user_id": "ann", "address": "198.51.100.7"})
    await a.http.post("/user/reset", json={"user_id": "ann", "windows": "all"})
    await b.http.post("/user/delete", json={"user_ids": ["ann"]})
    found = list(reversed(await entries(a)))
    assert [entry["act"] for entry in found] == [
        "user.new",
        "user.update",
        "user.limits",
        "tokens.revoke",
        "user.merge",
        "user.merge",
        "user.merge.failed",
        "user.reset",
        "user.delete",
    ]
    assert {(entry["actor"], entry["address"], entry["object"]) for entry in found} == {
        ("operator:master", "127.0.0.1", "user:ann")
    }
    assert found[0]["after"] == {"tier": "pro"}
    assert "before" not in found[0]
    assert (found[1]["before"], found[1]["after"]) == (
        {"tier": "pro", "blocked": False},
        {"tier": "open", "blocked": True},
    )
    assert (found[2]["before"], found[2]["after"]) == ({}, {"requests": {"hour": 1}})
    assert found[8]["before"] == {
        "tier": "open",
        "blocked": True,
        "limits": {"requests": {"hour": 1}},
        "consent": {},
    }
    assert all(len(entry["request_id"]) == 32 and entry["time"].endswith("Z") for entry in found)
    assert "canary" not in str(found)
    assert (await check(b)).findings == ()


async def test_an_act_that_is_refused_is_followed_by_an_entry_that_says_so(make: Make) -> None:
    a = make()
    await a.http.post("/user/new", json={"user_id": "ann", "auto_create_key": False})
    assert (await a.http.post("/user/new", json={"user_id": "ann"})).status_code == 409
    assert (await a.http.post("/user/new", json={"user_id": "ann", "tier": "gold"})).status_code == 400
    found = await entries(a)
    assert [entry["act"] for entry in found] == ["user.new.failed", "user.new", "user.new"]
    assert found[0]["details"] == {"error": "UserExists"}
    assert found[0]["request_id"] == found[1]["request_id"]


async def test_what_can_not_be_recorded_is_not_done(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    a = make()

    async def away(*_: object, **__: object) -> bool:
        raise StoreUnavailable("the store is away", maybe_acted=False, counts=False)

    await a.http.post("/user/new", json={"user_id": "ann", "auto_create_key": False, "tier": "pro"})
    with monkeypatch.context() as patched:
        patched.setattr(a.core.audit.log.store, "append", away)
        for path, body in (
            ("/user/update", {"user_id": "ann", "tier": "open"}),
            ("/user/new", {"user_id": "ben"}),
            ("/user/delete", {"user_ids": ["ann"]}),
        ):
            assert (await a.http.post(path, json=body)).status_code == 503
    listed = (await a.http.get("/user/list")).json()["users"]
    assert [(user["user_id"], user["tier"]) for user in listed] == [("ann", "pro")]
    assert len(await entries(a)) == 1


async def test_an_act_whose_end_nobody_knows_is_recorded_as_such(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    a = make()

    async def lost(*_: object) -> None:
        raise StoreUnavailable("the store did not answer in time")

    with monkeypatch.context() as patched:
        patched.setattr(a.core.administration.users.records.store, "create", lost)
        assert (await a.http.post("/user/new", json={"user_id": "ann"})).status_code == 503
    assert (await entries(a))[0]["details"] == {"error": "StoreUnavailable", "maybe_done": True}


async def test_refusals_of_identity_are_recorded(make: Make) -> None:
    a = make()
    for _ in range(3):
        assert (await get_with(a, "sk-canary-wrong")).status_code == 401
    assert (await get_with(a, None)).status_code == 401
    await a.http.post("/user/new", json={"user_id": "ann", "tier": "pro"})
    await a.http.post("/user/update", json={"user_id": "ann", "blocked": True})
    assert (await a.ask("ann")).status_code == 403
    assert (await a.http.post("/v1/chat/completions", json={"model": "none"})).status_code == 400
    await a.core.audit.events.flush()
    found = list(reversed(await entries(a, act="identity")))
    told = [(entry["actor"], entry["address"], entry["details"]["code"], entry["details"]["count"]) for entry in found]
    assert told == [
        ("unknown", "127.0.0.1", "invalid_api_key", 4),
        ("user:ann", "127.0.0.1", "user_blocked", 1),
    ]
    assert found[0]["details"]["path"] == "/v1/models"
    assert "canary" not in str(found)


async def test_refusals_that_were_not_written_yet_are_written_at_the_end(
    make: Make, store_url: str, tmp_path: Path, key_prefix: str
) -> None:
    a, b = Instance(store_url, tmp_path, key_prefix, "a"), make()
    await get_with(a, "sk-wrong")
    await a.close()
    assert [entry["act"] for entry in await entries(b)] == ["identity.refused"]


async def test_pages_and_filters(make: Make) -> None:
    a = make()
    for number in range(7):
        await a.http.post("/user/new", json={"user_id": f"u{number}", "auto_create_key": False})
    await a.http.post("/user/delete", json={"user_ids": ["u3"]})
    first = (await a.http.get("/scalix/v1/audit?limit=3")).json()
    assert [entry["seq"] for entry in first["entries"]] == [8, 7, 6]
    second = (await a.http.get(f"/scalix/v1/audit?limit=5&before={first['next_before']}")).json()
    assert [entry["seq"] for entry in second["entries"]] == [5, 4, 3, 2, 1]
    assert (await a.http.get("/scalix/v1/audit?limit=50")).json()["next_before"] is None
    assert [entry["seq"] for entry in await entries(a, act="user.delete")] == [8]
    assert len(await entries(a, act="user")) == 8
    assert await entries(a, act="use") == []
    assert [entry["seq"] for entry in await entries(a, object="user:u3")] == [8, 4]
    assert await entries(a, actor="operator:other") == []


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=501", "limit=x", "limit=%C2%B2", "before=0", "before=-1", "page=2", "limit=99999999999999999"],
)
async def test_a_wrong_query_is_a_400_that_names_it(make: Make, query: str) -> None:
    answer = await make().http.get(f"/scalix/v1/audit?{query}")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, query.partition("=")[0])


async def test_a_tampered_entry_is_shown_and_named(make: Make, key_prefix: str) -> None:
    a = make(SCALIX_AUDIT_KEY=AUDIT_KEY)
    for number in range(3):
        await a.http.post("/user/new", json={"user_id": f"u{number}", "auto_create_key": False})
    name = Keys(key_prefix).audit_log()
    await a.core.store.client.xdel(name, "2-0")
    odd = ['{"time_ms": 1e400, "act": 5}', '{"time_ms": 1' + "0" * 40 + "}", '{"act": "\\ud800"}', "[]", "nonsense"]
    for number, text in enumerate(odd, start=4):
        await a.core.store.client.xadd(name, {"text": text, "hash": "x", "mac": "y"}, id=f"{number}-0")
    report = await check(a, AUDIT_KEY)
    assert report.findings == ("entry 2 was removed", *(f"entry {seq} was changed" for seq in range(4, 9)))
    found = await entries(a)
    assert [entry["seq"] for entry in found] == [8, 7, 6, 5, 4, 3, 1]
    assert [entry["signed"] for entry in found[-2:]] == [True, True]


async def test_the_previous_master_key_counts_beside_the_new_one_and_is_recorded(make: Make) -> None:
    a, b = make(LITELLM_MASTER_KEY_PREVIOUS=PREVIOUS), make()
    assert (await get_with(a, PREVIOUS, "/user/list")).status_code == 200
    assert (await get_with(a, PREVIOUS)).status_code == 200
    assert (await get_with(a, MASTER_KEY)).status_code == 200
    assert (await get_with(b, PREVIOUS)).status_code == 401
    await a.core.audit.events.flush()
    (entry,) = await entries(a, act="identity.previous_master_key")
    assert entry["details"] == {"count": 2, "addresses": {"127.0.0.1": 2}}


async def test_users_are_listed_in_litellms_pages(make: Make) -> None:
    a = make()
    for number in range(5):
        body = {"user_id": f"u{number}", "user_email": f"u{number}@example.com", "user_role": "internal_user"}
        assert (await a.http.post("/user/new", json=body)).status_code == 200
    answer = (await a.http.get("/user/list?page=2&page_size=2")).json()
    assert [user["user_id"] for user in answer["users"]] == ["u2", "u3"]
    assert {name: answer[name] for name in ("total", "page", "page_size", "total_pages")} == {
        "total": 5,
        "page": 2,
        "page_size": 2,
        "total_pages": 3,
    }
    assert answer["users"][0]["user_email"] == "u2@example.com"
    some = (await a.http.get("/user/list?user_ids=u4,nobody,u1")).json()
    assert ([user["user_id"] for user in some["users"]], some["total"]) == (["u1", "u4"], 2)
    empty = (await a.http.get("/user/list?page=9")).json()
    assert (empty["users"], empty["total"]) == ([], 5)
    for query in ("page=0", "page_size=101", "role=proxy_admin"):
        assert (await a.http.get(f"/user/list?{query}")).status_code == 400
    made = (await a.http.post("/user/new", json={})).json()["user_id"]
    assert len(made) == 36
    assert (await a.http.get(f"/v2/user/info?user_id={made}")).json()["user_id"] == made
    admin = await a.http.post("/user/new", json={"user_role": "proxy_admin"})
    assert (admin.status_code, admin.json()["error"]["param"]) == (400, "user_role")


async def test_metadata_that_can_not_be_read_is_said_and_kept(make: Make, caplog: pytest.LogCaptureFixture) -> None:
    key = Fernet.generate_key().decode()
    a, b = make(SCALIX_ENCRYPTION_KEY=key), make()
    await a.http.post("/user/new", json={"user_id": "ann", "metadata": {"plan": "x"}, "user_email": "a@example.com"})
    with caplog.at_level(logging.ERROR):
        found = (await b.http.get("/user/info?user_id=ann")).json()
    assert found["metadata"] is None
    assert "is encrypted with a key that is not among those of SCALIX_ENCRYPTION_KEY" in found["metadata_error"]
    assert (await b.http.post("/user/update", json={"user_id": "ann", "blocked": True})).status_code == 200
    assert (await b.http.post("/user/update", json={"user_id": "ann", "user_email": "b@x"})).status_code == 400
    assert (await a.http.get("/user/info?user_id=ann")).json()["metadata"] == {
        "plan": "x",
        "user_email": "a@example.com",
    }
    await b.http.post("/user/update", json={"user_id": "ann", "metadata": {"plan": "y"}})
    assert (await a.http.get("/user/info?user_id=ann")).json()["metadata"] == {"plan": "y"}
