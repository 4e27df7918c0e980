"""A user's pages: what is shown is their own, and what they do there is theirs."""

import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from scalix.pages.finding import path_to
from scalix.service.self_service.own_keys import MOST_SHOWN
from tests.edge.key_rig import act, made
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, instance_at, operator, text_of, user


@pytest.fixture
async def instance(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance_at(store_url, key_prefix, tmp_path) as one:
        policy = one.core.policy.current
        tiers = {name: replace(tier, self_service_keys=2) for name, tier in policy.tiers.items()}
        one.core.policy.replace(replace(policy, tiers=tiers))
        yield one


@pytest.fixture
async def browser(instance: Instance) -> Browser:
    return await user(instance, "ann")


async def test_the_first_page_tells_what_is_used_left_and_comes_next(instance: Instance, browser: Browser) -> None:
    assert (await instance.ask("ann")).status_code == 200
    told = text_of(await browser.get("/me"))
    assert "Requests today 1 " in told
    assert "Requests per hour 1 of 2" in told
    assert "at this pace" in told


async def test_requests_are_the_users_own_whatever_id_is_tried(instance: Instance, browser: Browser) -> None:
    mine = (await instance.ask("ann")).headers["x-request-id"]
    others = (await instance.ask("bob")).headers["x-request-id"]
    listed = (await browser.get("/me/requests")).text
    assert mine in listed
    assert others not in listed
    told = text_of(await browser.get(f"/me/requests/{mine}"))
    assert "Model asked for free-model" in told
    assert "Cost" not in told  # what the provider takes is the operator's alone to see
    for query in ("", "?user_id=bob"):
        assert (await browser.get(f"/me/requests/{others}{query}")).status_code == 404
    for wrong in ("user_id=bob", "outcome=odd", "cursor=x"):
        answer = await browser.get(f"/me/requests?{wrong}")
        assert answer.status_code in (400, 403)
        assert others not in answer.text


async def test_keys_are_made_named_rotated_and_revoked(instance: Instance, browser: Browser) -> None:
    shown = await browser.act("/me/keys", fields={"name": "laptop"})
    (secret,) = re.findall(r"sk-[\w-]{20,}", shown.text)
    listed = await browser.get("/me/keys")
    assert "laptop" in listed.text
    assert secret not in listed.text
    token = re.findall(r'action="/me/keys/([0-9a-f]{64})/name"', listed.text)[0]
    assert "desktop" in text_of(await browser.act("/me/keys", f"/me/keys/{token}/name", {"name": "desktop"}))
    rotated = await browser.act("/me/keys", f"/me/keys/{token}/rotate")
    (newer,) = re.findall(r"sk-[\w-]{20,}", rotated.text)
    assert newer != secret
    token = re.findall(r'action="/me/keys/([0-9a-f]{64})/name"', (await browser.get("/me/keys")).text)[0]
    await browser.act("/me/keys", fields={"name": "second"})
    third = await browser.act("/me/keys", fields={"name": "third"})
    assert third.status_code == 403
    assert "Revoke one" in text_of(third)
    assert "is revoked" in text_of(await browser.act("/me/keys", f"/me/keys/{token}/revoke"))
    acts = (await instance.http.get("/scalix/v1/audit?act=key&actor=user:ann")).json()["entries"]
    assert [one["act"] for one in acts] == [
        "key.delete",
        "key.generate",
        "key.regenerate",
        "key.update",
        "key.generate",
    ]


async def test_a_key_of_another_user_or_of_the_operators_making_is_not_touched(
    instance: Instance, browser: Browser
) -> None:
    theirs = (await made(instance, user_id="bob"))["token"]
    own = (await instance.http.get("/key/list?user_id=ann")).json()["keys"][0]
    for token, status in ((theirs, 404), (own, 403)):
        for name, fields in (("name", {"name": "x"}), ("rotate", {}), ("revoke", {})):
            path = path_to("/me/keys/{key}", token) + f"/{name}"
            assert (await browser.act("/me/keys", path, fields)).status_code == status
    assert len((await instance.http.get("/key/list?user_id=bob")).json()["keys"]) == 1


async def test_data_is_exported_consented_to_and_erased_by_the_user(instance: Instance, browser: Browser) -> None:
    await instance.ask("ann")
    answer = await browser.act("/me/data", "/me/data/export")
    assert "attachment" in answer.headers["content-disposition"]
    found = json.loads(answer.text)
    assert found["user_id"] == "ann"
    assert "provider_cost_usd" not in json.dumps(found)
    assert "not kept" in text_of(await browser.act("/me/data", "/me/data/consent", {"usage_details": "no"}))
    assert (await browser.act("/me/data", "/me/data/erase", {"user_id": "ann"})).status_code == 400
    erased = await browser.act("/me/data", "/me/data/erase", {"user_id": "ann", "confirm": "ann"})
    assert "is erased" in text_of(erased)
    assert (await browser.get("/me")).url.path == "/me/sign-in"


async def test_what_is_shown_to_copy_has_this_address_and_a_model_of_the_user(
    instance: Instance, browser: Browser
) -> None:
    text = (await browser.get("/me/set-up")).text
    for part in (
        "http://gateway/v1",
        "ANTHROPIC_BASE_URL=http://gateway",
        "free-model",
        "wire_api",
        "openai/free-model",
    ):
        assert part in text
    odd = await browser.get("/me/set-up", params={"model": "<script>"})
    assert "<script>" not in odd.text.replace("<script src", "")


async def test_an_operators_key_act_for_a_user_is_none_of_the_users(instance: Instance, browser: Browser) -> None:
    await act(instance, "/user/new", user_id="eve")
    for path in ("/ui", "/ui/users/eve", "/ui/requests", "/ui/audit"):
        assert (await browser.get(path)).status_code == 403


async def test_the_address_to_copy_is_the_configs_whatever_host_was_asked(instance: Instance, browser: Browser) -> None:
    policy = instance.core.policy.current
    instance.core.policy.replace(replace(policy, ui=replace(policy.ui, url="https://ai.example.com/")))
    for path in ("/me/set-up", "/"):
        text = (await browser.get(path, headers={"host": "elsewhere.example"})).text
        assert "https://ai.example.com/v1" in text
        assert "elsewhere.example" not in text
        assert "//v1" not in text


async def test_what_has_to_be_confirmed_is_not_done_where_nothing_is_typed(
    instance: Instance, browser: Browser
) -> None:
    await instance.ask("ann")
    for fields in ({}, {"user_id": "", "confirm": ""}, {"user_id": " ", "confirm": " "}):
        assert (await browser.act("/me/data", "/me/data/erase", fields)).status_code == 400
    assert (await browser.get("/me")).url.path == "/me"


async def test_many_keys_are_shown_a_page_at_a_time_to_their_user_and_to_the_operator(instance: Instance) -> None:
    await act(instance, "/user/new", user_id="ann", auto_create_key=False)
    for _ in range(MOST_SHOWN + 3):
        await made(instance, user_id="ann")
    mine = await user(instance, "ann")
    first = await mine.get("/me/keys")
    (to,) = re.findall(r'<a href="([^"]*)" rel="next"', first.text)
    second = await mine.get(unescape(to))
    counts = [page.text.count('<section class="card"><h2><bdi>') for page in (first, second)]
    assert counts == [MOST_SHOWN, 4]
    listed = await (await operator(instance)).get("/ui/users/ann")
    shown = set(re.findall(r'href="/ui/keys/([0-9a-f]{64})"', listed.text))
    assert len(shown) == 10
    assert 'href="/ui/keys?user_id=ann"' in listed.text
