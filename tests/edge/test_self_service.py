"""What users do by themselves, through the edge: their own keys and data, and never more than their rights."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from scalix.domain.identity.key_secrets import digest_of
from scalix.launch.config.config_file import read_config
from scalix.service.identity.callers import Caller
from scalix.service.self_service.turns import MOST_WITHIN_AN_HOUR, Person
from scalix.store.base import StoreUnavailable
from tests.edge.key_rig import act, ask, code_of, info, made, with_key
from tests.edge.limits_rig import Instance
from tests.edge.privacy_rig import Make, entries, instances, texts_of
from tests.edge.test_keys_over_http import CONFIG as KEYS_CONFIG
from tests.service.token_issuer import AUDIENCE, ISSUER, SECRET, TokenIssuer

KEYS = "/scalix/v1/me/keys"
CONFIG = (
    KEYS_CONFIG.replace("{day: 2}}", "{day: 2}, self_service_keys: 1}").replace(
        "free: {models: [free-*], requests: {day: 100000}}",
        "none: {models: [free-*]}\n    free: {models: [free-*], requests: {day: 100000}, self_service_keys: 2}",
    )
    + f"""
  jwt:
    issuers:
      - {{issuer: {ISSUER}, audience: {AUDIENCE}, secret: "${{JWT_SECRET}}", tier_claim: tier, trust_tier: true}}
"""
)


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Make]:
    monkeypatch.setenv("JWT_SECRET", SECRET)
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    async with instances(store_url, tmp_path, key_prefix) as new:
        yield lambda: new(JWT_SECRET=SECRET)


def token_of(user: str, **claims: Any) -> str:
    return TokenIssuer(ISSUER, secret=SECRET, now_s=int(time.time()), claims={"sub": user, **claims}).token()


async def call(instance: Instance, token: str, method: str = "GET", path: str = "", **body: Any) -> httpx.Response:
    sent = orjson.dumps(body) if body else None
    return await instance.http.request(method, f"{KEYS}{path}", headers=with_key(token), content=sent)


async def own(instance: Instance, token: str, name: str, **body: Any) -> dict[str, Any]:
    """A key that its user has made."""
    answer = await call(instance, token, "POST", name=name, **body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def reload(instance: Instance) -> None:
    """What a worker does on SIGHUP."""
    instance.core.policy.replace(read_config(instance.config, {"JWT_SECRET": SECRET}).policy)


async def person(instance: Instance, user: str) -> Person:
    return Person.of(await instance.core.callers.users.caller(user), "r1", "203.0.113.9")


async def test_a_user_makes_names_rotates_and_revokes_keys_of_their_own(make: Make) -> None:
    a, b = make(), make()
    key = await own(a, token_of("alice"), "laptop")
    assert (key["name"], key["self_made"], key["status"], key["token"]) == (
        "laptop",
        True,
        "active",
        digest_of(key["key"]),
    )
    assert (await ask(b, key["key"])).headers["x-scalix-tier"] == "free"
    renamed = await call(a, key["key"], "POST", f"/{key['token']}", name="desk")
    assert renamed.json()["name"] == "desk"
    rotated = (await call(a, token_of("alice"), "POST", f"/{key['token']}/rotate")).json()
    assert code_of(await ask(b, key["key"])) == (401, "invalid_api_key")
    assert (await ask(b, rotated["key"])).status_code == 200
    listed = (await call(b, token_of("alice"))).json()
    assert [(one["name"], one["requests"]) for one in listed["keys"]] == [("desk", 2)]
    assert (listed["total_count"], listed["self_made"], listed["self_service_keys"]) == (1, 1, 2)
    assert rotated["key"] not in str(listed)
    assert (await call(a, token_of("alice"), "DELETE", f"/{rotated['token']}")).json() == {"revoked": rotated["token"]}
    assert code_of(await ask(b, rotated["key"])) == (401, "invalid_api_key")
    assert (await call(b, token_of("alice"))).json()["keys"] == []


async def test_a_rotation_may_leave_the_old_secret_a_while_and_no_longer_than_a_week(make: Make) -> None:
    a = make()
    key = await own(a, token_of("alice"), "laptop")
    rotated = (await call(a, token_of("alice"), "POST", f"/{key['token']}/rotate", grace_period="1h")).json()
    assert rotated["replaced_keys_valid_until"]
    for secret in (key["key"], rotated["key"]):
        assert (await ask(a, secret)).status_code == 200
    long = await call(a, token_of("alice"), "POST", f"/{rotated['token']}/rotate", grace_period="8d")
    assert code_of(long) == (400, "invalid_request")


async def test_an_expired_key_gets_no_new_secret_which_would_not_work(make: Make) -> None:
    a = make()
    key = await own(a, token_of("alice", exp=int(time.time()) + 7_200), "laptop", duration="1h")
    keys = a.core.administration.keys
    now_ms = keys.now_ms()
    object.__setattr__(keys, "now_ms", lambda: now_ms + 3_700_000)  # it is frozen, and this instance is the test's own
    for caller, path in (
        (token_of("alice"), f"{KEYS}/{key['token']}/rotate"),
        (None, f"/key/{key['token']}/regenerate"),
    ):
        answer = await a.http.post(path, headers=with_key(caller) if caller else {}, content=b"{}")
        assert code_of(answer) == (400, "invalid_request")
        assert "has expired" in answer.json()["error"]["message"]
    fresh = await act(a, f"/key/{key['token']}/regenerate", duration="1h")
    assert (await ask(a, fresh["key"])).status_code == 200


async def test_no_more_keys_than_the_tier_lets_one_make_also_at_the_same_time_at_two_instances(make: Make) -> None:
    a, b = make(), make()
    answers = await asyncio.gather(
        *(call(one, token_of("alice"), "POST", name=f"key {n}") for n in range(6) for one in (a, b))
    )
    assert {answer.status_code for answer in answers} <= {200, 403, 409}
    while code_of(last := await call(a, token_of("alice"), "POST", name=f"more {time.time_ns()}"))[0] == 200:
        pass
    assert code_of(last) == (403, "not_permitted")
    assert "You have made 2 keys, and your tier allows 2" in last.json()["error"]["message"]
    listed = (await call(b, token_of("alice"))).json()
    assert (len(listed["keys"]), listed["self_made"]) == (2, 2)
    # The operator's keys take no place, and an expired one leaves its own.
    await made(a, user_id="bob")
    assert (await own(a, token_of("bob"), "one"))["expires"] is None
    assert (await own(a, token_of("bob"), "two", duration="30d"))["expires"]


async def test_a_tier_without_the_setting_lets_nobody_make_keys_but_revoke_those_from_before(make: Make) -> None:
    a = make()
    key = await own(a, token_of("alice"), "laptop")
    await act(a, "/user/update", user_id="alice", tier="none")
    for method, path, body in (
        ("POST", "", {"name": "more"}),
        ("POST", f"/{key['token']}", {"name": "desk"}),
        ("POST", f"/{key['token']}/rotate", {}),
    ):
        answer = await call(a, key["key"], method, path, **body)
        assert code_of(answer) == (403, "not_permitted")
        assert answer.json()["error"]["message"] == "Users of your tier, 'none', do not make keys themselves here."
    assert (await call(a, key["key"])).json()["self_service_keys"] == 0
    assert (await call(a, key["key"], "DELETE", f"/{key['token']}")).status_code == 200


async def test_a_reload_changes_how_many_keys_users_may_make(make: Make) -> None:
    a = make()
    await own(a, token_of("alice"), "one")
    a.config.write_text(CONFIG.replace("self_service_keys: 2", "self_service_keys: 1"), encoding="utf-8")
    reload(a)
    assert code_of(await call(a, token_of("alice"), "POST", name="two")) == (403, "not_permitted")
    assert (await call(a, token_of("alice"))).json()["self_service_keys"] == 1


@pytest.mark.parametrize(
    "limits",
    [
        {"models": ["free-model"]},
        {"max_budget": 1},
        {"duration": "30d"},
        {"rpm_limit": 5},
        {"tpm_limit": 5},
        {"max_parallel_requests": 5},
        {"allowed_ips": ["0.0.0.0/0"]},
        {"denied_ips": ["198.51.100.0/24"]},
    ],
)
async def test_a_key_with_limits_of_its_own_gets_no_way_around_them(make: Make, limits: dict[str, Any]) -> None:
    a = make()
    other = await own(a, token_of("alice"), "laptop")
    narrow = await made(a, user_id="alice", **limits)
    for method, path, body in (
        ("POST", "", {"name": "more"}),
        ("POST", f"/{other['token']}", {"name": "desk"}),
        ("POST", f"/{other['token']}/rotate", {}),
        ("DELETE", f"/{other['token']}", {}),
    ):
        assert code_of(await call(a, narrow["key"], method, path, **body)) == (403, "not_permitted")
    caller: Caller = (await person(a, "alice")).caller
    key = await a.core.store.keys.find(narrow["token"])
    narrow_person = Person.of(Caller(caller.subject, caller.tier, caller.limits, caller.record, key=key))
    data = a.core.self_service.data
    for act_on_data in (data.erase(narrow_person), data.export(narrow_person), data.set_consent(narrow_person, {})):
        with pytest.raises(Exception, match="limits of its own"):
            await act_on_data


async def test_a_key_of_ones_own_has_the_users_models_and_limits_and_the_bounds_of_all_keys(make: Make) -> None:
    a = make()
    a.config.write_text(
        CONFIG + "litellm_settings:\n  upperbound_key_generate_params: {duration: 30d, max_budget: 2}\n",
        encoding="utf-8",
    )
    reload(a)
    key = await own(a, token_of("alice"), "laptop")
    assert (key["max_budget"], bool(key["expires"])) == (2, True)
    assert code_of(await ask(a, key["key"], model="dear-model")) == (403, "model_not_allowed")
    assert code_of(await call(a, token_of("alice"), "POST", name="x", duration="31d")) == (400, "invalid_request")
    await act(a, "/user/update", user_id="alice", blocked=True)
    assert code_of(await ask(a, key["key"])) == (403, "user_blocked")


async def test_a_token_of_a_lower_tier_than_keys_would_have_makes_none(make: Make) -> None:
    a = make()
    assert code_of(await call(a, token_of("alice", tier="none"), "POST", name="x")) == (403, "not_permitted")
    assert (await own(a, token_of("alice", tier="two"), "x"))["status"] == "active"
    assert code_of(await call(a, token_of("alice", tier="two"), "POST", name="y")) == (403, "not_permitted")


async def test_only_users_and_only_their_own_keys(make: Make) -> None:
    a = make()
    key = await own(a, token_of("alice"), "laptop")
    operators = await made(a, user_id="bob", key_alias="bobs")
    for method in ("POST", "GET"):
        assert code_of(await a.http.request(method, KEYS, json={"name": "x"})) == (403, "not_permitted")  # the operator
        # A page's cookie opens nothing here, and nobody's body is read.
        nobody = {"authorization": "", "cookie": "scalix_session=x"}
        assert code_of(await a.http.request(method, KEYS, headers=nobody, content="{")) == (401, "invalid_api_key")
    for method, rest, body in (("POST", "", {"name": "x"}), ("POST", "/rotate", {}), ("DELETE", "", {})):
        theirs = await call(a, token_of("bob"), method, f"/{key['token']}{rest}", **body)
        missing = await call(a, token_of("bob"), method, f"/{'0' * 64}{rest}", **body)
        assert code_of(theirs) == code_of(missing) == (404, "key_not_found")
        assert theirs.json()["error"]["message"] == missing.json()["error"]["message"]
        secret = await call(a, token_of("alice"), method, f"/{key['key']}{rest}", **body)
        assert code_of(secret) == (404, "key_not_found")
        given = await call(a, token_of("bob"), method, f"/{operators['token']}{rest}", **body)
        assert code_of(given) == (403, "not_permitted")
        assert "The operator of this gateway has made this key" in given.json()["error"]["message"]
    assert [(one["name"], one["self_made"]) for one in (await call(a, token_of("bob"))).json()["keys"]] == [
        ("bobs", False)
    ]
    assert (await ask(a, key["key"])).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {},
        *({"name": name} for name in ("", "a/b", "x" * 65, "a\nb", 5)),
        {"name": "x", "models": []},
        {"name": "x", "duration": "soon"},
    ],
)
async def test_what_is_no_name_or_time_is_refused(make: Make, body: dict[str, Any]) -> None:
    a = make()
    answer = await a.http.post(KEYS, headers=with_key(token_of("alice")), json=body)
    assert code_of(answer) == (400, "invalid_request")


async def test_names_are_free_for_each_user_and_told_apart_for_the_operator(make: Make) -> None:
    a = make()
    one = await own(a, token_of("alice"), "laptop")
    await own(a, token_of("bob"), "laptop")
    again = await call(a, token_of("alice"), "POST", name="laptop")
    assert code_of(again) == (409, "key_alias_taken")
    assert again.json()["error"]["message"].startswith("You have a key of the name 'laptop' already")
    shown = await info(a, one["token"])
    assert (shown["key_alias"], shown["created_by"], shown["user_id"]) == ("alice/laptop", "user:alice", "alice")
    long = "u" * 250
    assert code_of(await call(a, token_of(long), "POST", name="laptop")) == (400, "invalid_request")


async def test_every_act_is_in_the_audit_log_as_the_users_own(make: Make, key_prefix: str) -> None:
    a = make()
    key = await own(a, token_of("alice@example.com"), "laptop")
    await call(a, key["key"], "POST", f"/{key['token']}", name="desk")
    rotated = (await call(a, key["key"], "POST", f"/{key['token']}/rotate")).json()
    someone = await person(a, "alice@example.com")
    await a.core.self_service.data.set_consent(someone, {"usage_details": False})
    await call(a, rotated["key"], "DELETE", f"/{rotated['token']}")
    found = await entries(a, actor="user:alice@example.com")
    assert [entry["act"] for entry in found] == [
        *("key.generate", "key.update", "key.regenerate", "user.update", "key.delete"),
    ]
    assert all(entry["request_id"] for entry in found)
    await a.core.self_service.data.erase(someone)
    left = await texts_of(a, key_prefix)
    assert "alice@example.com" not in left
    assert "desk" not in left


async def test_a_user_takes_their_data_with_them_without_what_is_the_operators(make: Make) -> None:
    a = make()
    await act(a, "/user/new", user_id="alice", auto_create_key=False, metadata={"note": "private"})
    key = await own(a, token_of("alice"), "laptop")
    assert (await ask(a, key["key"])).status_code == 200
    found = await a.core.self_service.data.export(await person(a, "alice"))
    assert [event["charge_usd"] for event in found["events"]] == [pytest.approx(12e-6)]
    for name in ("cost_usd", "provider", "price_version", "deployment", "engine", "failed_deployments"):
        assert name not in found["events"][0]
        assert name not in found["summaries"][0]
    assert "private" not in str(found)
    assert {entry["act"]: "address" in entry for entry in found["audit"]} == {"user.new": False, "key.generate": True}
    by_operator = (await a.http.get("/scalix/v1/users/alice/export")).json()
    assert by_operator["audit"][-1]["act"] == "user.export"
    assert by_operator["audit"][-1]["actor"] == "user:alice"


async def test_a_user_says_what_is_kept_of_their_requests(make: Make) -> None:
    a = make()
    data, someone = a.core.self_service.data, await person(a, "alice")
    assert await data.consent(someone) == {"usage_details": True}
    assert await data.set_consent(someone, {"usage_details": False}) == {"usage_details": False}
    assert (await a.ask("alice")).status_code == 200
    assert (await a.http.get("/scalix/v1/users/alice/export")).json()["events"][0]["latency_ms"] == 0
    with pytest.raises(Exception, match="is not known here"):
        await data.set_consent(someone, {"marketing": True})


@pytest.mark.parametrize("held", [{"tier": "none"}, {"limits": {"requests": {"hour": 1}}}])
async def test_an_erasure_is_no_way_out_of_what_the_operator_has_set(make: Make, held: dict[str, Any]) -> None:
    a = make()
    await act(a, "/user/new", user_id="alice", auto_create_key=False, **held)
    with pytest.raises(Exception, match="an erasure would lift that"):
        await a.core.self_service.data.erase(await person(a, "alice"))
    assert (await a.http.get("/user/info", params={"user_id": "alice"})).status_code == 200
    await act(a, "/user/update", user_id="alice", tier="pro", limits={})
    assert (await a.core.self_service.data.erase(await person(a, "alice")))["erased"]["records"] == 1


async def test_a_user_who_changes_too_much_has_to_wait_and_an_erasure_gives_nothing_back(make: Make) -> None:
    a = make()
    data, someone = a.core.self_service.data, await person(a, "alice")
    await data.erase(someone)
    await data.erase(someone)
    with pytest.raises(Exception, match=r"changed much within an hour\. Try again in \d+ (minutes|hour)") as refused:
        await data.erase(someone)
    assert 0 < (getattr(refused.value, "retry_after_s", 0) or 0) <= 3_600
    answer = await call(a, token_of("alice"), "POST", name="x")
    assert (answer.status_code, MOST_WITHIN_AN_HOUR) == (429, 60)
    assert 0 < int(answer.headers["retry-after"]) <= 3_600
    assert (await call(a, token_of("bob"), "POST", name="x")).status_code == 200


async def test_without_the_store_nothing_is_made_and_the_turn_is_not_lost(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = make()
    await own(a, token_of("alice"), "one")

    async def away(*_: object) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patch:
        patch.setattr(a.core.self_service.keys.keys.keys, "create", away)
        answer = await call(a, token_of("alice"), "POST", name="two")
        assert code_of(answer) == (503, "store_unavailable")
    assert (await call(a, token_of("alice"), "POST", name="two")).status_code == 200
