"""The operator's pages of users and keys: what they show, and what is done there."""

import asyncio
import json
import re
from html import unescape

import httpx
import pytest

from scalix.pages.finding import path_to
from tests.edge.key_rig import act
from tests.edge.limits_rig import CONFIG, Instance
from tests.pages.rig import ORIGIN, Browser, form_token, text_of, user

ODD = "<b>ann</b>/../\u05d0~\U0001f600?&#"


def of(user_id: str, act: str = "") -> str:
    return path_to("/ui/users/{user}", user_id) + act


def notice(answer: httpx.Response) -> str:
    assert answer.status_code == 200, text_of(answer)
    found = re.search(r'class="notice"[^>]*>([^<]*)<', answer.text)
    assert found, text_of(answer)
    return found[1]


@pytest.mark.parametrize("user_id", ["ann", ODD, "~", "..", "x" * 200])
async def test_a_user_is_added_found_and_shown_whatever_the_name(user_id: str, browser: Browser) -> None:
    added = await browser.act("/ui/users", fields={"user_id": user_id, "tier": "pro"})
    assert "is there now" in notice(added)
    assert added.url.raw_path.decode() == of(user_id)
    listed = await browser.get("/ui/users", params={"prefix": user_id})
    assert f'href="{of(user_id)}"'.replace("&", "&amp;") in listed.text
    assert "<b>" not in listed.text
    again = await browser.act("/ui/users", fields={"user_id": user_id})
    assert again.status_code == 409
    assert "exists already" in text_of(again)


async def test_the_page_of_a_user_has_the_figures_of_the_api(instance: Instance, browser: Browser) -> None:
    await act(instance, "/user/new", user_id="ann")
    for _ in range(2):
        assert (await instance.ask("ann")).status_code == 200
    told = text_of(await browser.get(of("ann")))
    info = (await instance.http.get("/user/info?user_id=ann")).json()
    assert f"Requests today {info['usage']['requests_today']} " in told
    for limit in info["limits"]:
        assert f"{limit['limit']} {limit['used']:,} of {limit['limit_value']:,}" in told
    assert told.count("success") == 2
    assert "user.new" in told
    assert (await browser.get(of("nobody"))).status_code == 404


async def test_tier_limits_use_balance_and_access_are_changed_as_by_the_api(
    instance: Instance, browser: Browser
) -> None:
    await act(instance, "/user/new", user_id="ann")
    page = of("ann")
    assert (await instance.ask("ann")).status_code == 200
    assert "pro now" in notice(await browser.act(page, of("ann", "/tier"), {"tier": "pro"}))
    wrong = await browser.act(page, of("ann", "/tier"), {"tier": "gold"})
    assert wrong.status_code == 400
    assert "must be one of" in text_of(wrong)

    async def own() -> object:
        return (await instance.http.get("/user/limits?user_id=ann")).json()["overrides"]

    for name, amount, after in (
        ("requests-day", "7", {"requests": {"day": 7}}),
        ("concurrent", "2", {"requests": {"day": 7}, "concurrent": 2}),
        ("requests-day", "none", {"requests": {"day": None}, "concurrent": 2}),
        ("concurrent", "", {"requests": {"day": None}}),
        ("concurrent", "none", {"requests": {"day": None}, "concurrent": None}),
        ("requests-day", "", {"concurrent": None}),
        ("concurrent", "", {}),
    ):
        notice(await browser.act(page, of("ann", "/limit"), {"limit": name, "amount": amount}))
        assert await own() == after
    assert (
        await browser.act(page, of("ann", "/limit"), {"limit": "requests-day", "amount": "many"})
    ).status_code == 400
    given = notice(await browser.act(page, of("ann", "/reset"), {"windows": "requests-hour"}))
    assert given == "Given back: requests-hour 1."

    credit = {"amount_usd": "25.00", "credit_id": "invoice-1"}
    assert notice(await browser.act(page, of("ann", "/credit"), credit)) == "The balance is $25.00 now."
    assert "not added again" in notice(await browser.act(page, of("ann", "/credit"), credit))
    assert (await browser.act(page, of("ann", "/credit"), {**credit, "amount_usd": "much"})).status_code == 400

    notice(await browser.act(page, of("ann", "/block"), {"blocked": "yes"}))
    assert (await instance.ask("ann")).status_code == 403
    notice(await browser.act(page, of("ann", "/block"), {"blocked": "no"}))
    assert (await instance.ask("ann")).status_code == 200
    acts = [one["act"] for one in (await instance.http.get("/scalix/v1/audit?object=user:ann")).json()["entries"]]
    assert {"user.update", "user.limits", "user.reset", "user.credit"} <= set(acts)


async def test_of_limits_that_are_set_at_the_same_time_none_is_lost(instance: Instance, browser: Browser) -> None:
    await instance.http.post("/user/new", json={"user_id": "ann", "auto_create_key": False})
    token = form_token(await browser.get(of("ann")))
    wanted = {"requests-hour": 5, "requests-day": 6, "tokens-day": 7, "concurrent": 2}

    async def set_one(name: str) -> None:
        sent = {"form_token": token, "limit": name, "amount": str(wanted[name])}
        assert (await browser.http.post(f"{of('ann')}/limit", data=sent, headers={"origin": ORIGIN})).status_code == 200

    await asyncio.gather(*map(set_one, wanted))
    own = (await instance.http.get("/user/info", params={"user_id": "ann"})).json()["overrides"]
    assert own == {"requests": {"hour": 5, "day": 6}, "tokens": {"day": 7}, "concurrent": 2}


async def test_an_export_is_a_file_and_an_erasure_has_to_be_confirmed(instance: Instance, browser: Browser) -> None:
    await act(instance, "/user/new", user_id="ann")
    await instance.ask("ann")
    page = of("ann")
    answer = await browser.act(page, of("ann", "/export"))
    assert answer.headers["content-disposition"] == 'attachment; filename="export.json"'
    assert "content-encoding" not in answer.headers
    assert json.loads(answer.text)["user_id"] == "ann"
    for confirm in ({}, {"confirm": "anne"}):
        assert (await browser.act(page, of("ann", "/erase"), confirm)).status_code == 400
    assert (await browser.get(page)).status_code == 200
    erased = await browser.act(page, of("ann", "/erase"), {"confirm": "ann"})
    assert "is erased" in notice(erased)
    assert erased.url.path == "/ui/users"
    assert "Nobody whose name begins so" in text_of(await browser.get("/ui/users", params={"prefix": "ann"}))
    # What was used of the limits of today stays, under a name that leads nowhere, so that nobody gets them twice.
    left = text_of(await browser.get(page))
    for gone in ("No requests are kept", "Nothing is recorded", "No virtual keys"):
        assert gone in left


async def test_a_key_is_shown_once_rotated_blocked_and_deleted(instance: Instance, browser: Browser) -> None:
    await act(instance, "/user/new", user_id="ann", auto_create_key=False)
    shown = await browser.act(
        of("ann"), of("ann", "/keys"), {"key_alias": "laptop", "max_budget": "5", "duration": "30d"}
    )
    (secret,) = re.findall(r"sk-[\w-]{20,}", shown.text)
    assert "content-encoding" not in shown.headers
    token = (await instance.http.get("/key/list?user_id=ann")).json()["keys"][0]
    page = path_to("/ui/keys/{key}", token)
    for path in (of("ann"), "/ui/keys", page):
        seen = await browser.get(path)
        assert "laptop" in seen.text
        assert secret not in seen.text
    rotated = await browser.act(page, f"{page}/rotate", {"grace_period": "1h"})
    (newer,) = re.findall(r"sk-[\w-]{20,}", rotated.text)
    assert newer != secret
    token = (await instance.http.get("/key/list?user_id=ann")).json()["keys"][0]
    page = path_to("/ui/keys/{key}", token)
    assert "from now on" in notice(await browser.act(page, f"{page}/block", {"blocked": "yes"}))
    assert (await browser.act(page, f"{page}/delete", {"named": "laptop"})).status_code == 400
    gone = await browser.act(page, f"{page}/delete", {"named": "laptop", "confirm": "laptop"})
    assert gone.url.path == "/ui/keys"
    assert (await instance.http.get("/key/list?user_id=ann")).json()["keys"] == []
    for wrong in ({"max_budget": "much"}, {"duration": "soon"}):
        assert (await browser.act(of("ann"), of("ann", "/keys"), wrong)).status_code == 400


async def test_lists_go_on_by_cursor_until_each_was_shown_once(instance: Instance, browser: Browser) -> None:
    names = [f"user-{number:02d}" for number in range(51)]
    for name in names:
        await act(instance, "/user/new", user_id=name)
    for path, size in (
        ("/ui/keys", 50),
        ("/ui/users", 50),
        ("/ui/keys?user_id=user-07", 1),
        ("/ui/users?prefix=user-1", 10),
    ):
        seen, page = list[str](), path
        while page:
            text = (await browser.get(page)).text
            seen += re.findall(r'href="/ui/users/(user-[0-9]+)"', text)
            page = unescape(found[1]) if (found := re.search(r'href="([^"]*)" rel="next"', text)) else ""
        assert len(seen) == len(set(seen)) == (51 if size == 50 else size), path
    assert (await browser.get("/ui/keys", params={"cursor": "x"})).status_code == 400
    assert (await browser.get("/ui/users", params={"cursor": "x" * 999})).status_code == 400


async def test_the_list_says_what_each_has_used_today_and_when_they_were_seen_last(
    instance: Instance, browser: Browser
) -> None:
    for name in ("ann", "bob"):
        await act(instance, "/user/new", user_id=name, tier="pro")
    for _ in range(3):
        assert (await instance.ask("ann")).status_code == 200
    listed = {one["user_id"]: one for one in (await instance.http.get("/user/list")).json()["users"]}
    usage = (await instance.http.get("/user/info?user_id=ann")).json()["usage"]
    assert listed["ann"]["requests_today"] == usage["requests_today"] == 3
    assert listed["ann"]["spend_today_usd"] == usage["spend_today_usd"] > 0
    today = (await instance.http.get("/scalix/v1/usage?user_id=ann")).json()["by_day"][-1]["date"]
    assert listed["ann"]["last_seen_on"] == today
    assert (listed["bob"]["requests_today"], listed["bob"]["last_seen_on"]) == (0, None)
    rows = re.findall(r"<tr role=\"row\">(.*?)</tr>", (await browser.get("/ui/users")).text, re.S)
    ann = next(row for row in rows if ">ann<" in row)
    assert f'datetime="{today}"' in ann
    assert re.search(r'data-label="Requests today" class="figure"><span>\s*3<', ann)


async def test_of_a_tier_that_a_reload_has_taken_away_the_user_sees_what_holds_and_the_operator_why(
    instance: Instance, browser: Browser
) -> None:
    await act(instance, "/user/new", user_id="ann", tier="pro", auto_create_key=False)
    ann = await user(instance, "ann")
    assert (await instance.ask("ann")).status_code == 200
    lines = CONFIG.splitlines(keepends=True)
    instance.config.write_text("".join(line for line in lines if not line.startswith("    pro:")), encoding="utf-8")
    instance.reload()
    for path in ("/ui", "/ui/users", "/ui/limits", "/ui/money", "/ui/users/ann"):
        assert (shown := await browser.get(path)).status_code == 200, path
    assert "The user’s tier is “pro”, which the config no longer has. The default tier, free, holds" in text_of(shown)
    assert "My usage free" in text_of(await ann.get("/me"))
    answer = await browser.act("/ui/users/ann", "/ui/users/ann/tier", {"tier": "pro"})
    assert "'tier' must be one of: free, trial, open." in text_of(answer)
    instance.config.write_text(CONFIG, encoding="utf-8")
    instance.reload()
    assert "no longer has" not in text_of(await browser.get("/ui/users/ann"))
