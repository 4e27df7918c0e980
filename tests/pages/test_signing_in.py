"""Signing in by key, token and link, and what ends a session."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.identity.key_secrets import digest_of
from scalix.domain.pages import PageSettings
from scalix.service.identity.sign_ins import CODE_LIFETIME_MS, LIFETIME_MS
from scalix.store.backup.redis_snapshot import StoreSnapshot
from scalix.store.records.redis_sign_ins import MOST_AT_ONCE
from tests.edge.key_rig import act, made
from tests.edge.limits_rig import Instance
from tests.edge.privacy_rig import erase, export, texts_of
from tests.pages.rig import Browser, instance_at, operator, text_of, user
from tests.service.outage_rig import MASTER_KEY


async def link_for(instance: Instance, user_id: str, **more: str) -> str:
    """The code of a new link."""
    link = await instance.http.post("/scalix/v1/login-link", json={"user_id": user_id, **more})
    assert link.status_code == 200, link.text
    path, _, code = link.json()["path"].partition("#")
    assert path == "/me/enter"
    return str(code)


def later(instance: Instance, ms: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the clock of sign-ins go on."""
    sign_ins = instance.core.callers.sign_ins
    now_ms = sign_ins.now_ms
    monkeypatch.setattr(sign_ins, "now_ms", lambda: now_ms() + ms)


async def test_a_link_signs_a_user_in_once_and_leads_to_its_page(instance: Instance) -> None:
    code = await link_for(instance, "ann", path="/me/sessions")
    browser = Browser(instance)
    for _ in range(2):  # a scanner looks first, and uses nothing up
        assert (await browser.get(f"/me/enter?code={code}")).status_code == 200
    answer = await browser.act("/me/enter", fields={"code": code})
    assert (answer.status_code, answer.url.path) == (200, "/me/sessions")
    assert "ann" in text_of(answer)
    again = await Browser(instance).act("/me/enter", fields={"code": code})
    assert (again.status_code, "used already" in text_of(again)) == (401, True)


async def test_a_link_is_good_for_five_minutes(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    code = await link_for(instance, "ann")
    later(instance, CODE_LIFETIME_MS, monkeypatch)
    answer = await Browser(instance).act("/me/enter", fields={"code": code})
    assert answer.status_code == 401


async def test_a_session_is_over_after_twelve_hours(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    browser = await operator(instance)
    later(instance, LIFETIME_MS, monkeypatch)
    assert (await browser.get("/ui")).url.path == "/ui/sign-in"


@pytest.mark.parametrize("path", ["/ui", "https://elsewhere.example/me", "//x/me", "/me/\\x", "/mexico", 7])
async def test_a_link_leads_to_users_pages_only(path: Any, instance: Instance) -> None:
    answer = await instance.http.post("/scalix/v1/login-link", json={"user_id": "ann", "path": path})
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "path")


async def test_only_an_operator_makes_links(instance: Instance) -> None:
    answer = await instance.http.post(
        "/scalix/v1/login-link", json={"user_id": "ann"}, headers={"authorization": "Bearer x"}
    )
    assert answer.status_code == 401


@pytest.mark.parametrize("end", ["block", "delete", "revoke", "erase"])
async def test_what_is_done_to_a_user_ends_the_session_of_a_link(end: str, instance: Instance) -> None:
    await act(instance, "/user/new", user_id="ann", auto_create_key=False)
    unused = await link_for(instance, "ann")
    browser = Browser(instance)
    await browser.act("/me/enter", fields={"code": await link_for(instance, "ann")})
    assert (await browser.get("/me")).url.path == "/me"
    match end:
        case "block":
            await act(instance, "/user/update", user_id="ann", blocked=True)
        case "delete":
            await act(instance, "/user/delete", user_ids=["ann"])
        case "revoke":
            await act(instance, "/scalix/v1/tokens/revoke", user_id="ann")
        case _:
            await erase(instance, "ann")
    assert (await browser.get("/me")).url.path == "/me/sign-in"
    if end in ("delete", "erase"):
        assert (await Browser(instance).act("/me/enter", fields={"code": unused})).status_code == 401


async def test_an_export_tells_of_sessions_and_an_erasure_leaves_none(instance: Instance, key_prefix: str) -> None:
    browser = await user(instance, "ann")
    (session,) = (await export(instance, "ann"))["sign_ins"]
    assert session["by"] == "key"
    erased = await erase(instance, "ann")
    assert erased["erased"]["sign_ins"] == 1
    assert "ann" not in await texts_of(instance, key_prefix)
    assert (await browser.get("/me")).url.path == "/me/sign-in"


async def test_the_store_holds_neither_a_cookie_nor_a_code(instance: Instance, key_prefix: str) -> None:
    browser = await operator(instance)
    code = await link_for(instance, "ann")
    kept = await texts_of(instance, key_prefix)
    cookie = browser.http.cookies["scalix_session"]
    assert digest_of(cookie.rpartition(".")[0]) in kept
    for secret in (cookie, cookie.rpartition(".")[0], code, MASTER_KEY):
        assert secret not in kept


async def test_a_new_master_key_ends_the_operators_sessions(
    store_url: str, key_prefix: str, tmp_path: Path, instance: Instance
) -> None:
    browser = await operator(instance)
    fresh = "sk-test-another-master-0123456789abcdef"
    for previous, status in ((MASTER_KEY, "/ui"), ("", "/ui/sign-in")):
        more = {"LITELLM_MASTER_KEY": fresh, **({"LITELLM_MASTER_KEY_PREVIOUS": previous} if previous else {})}
        async with instance_at(store_url, key_prefix, tmp_path, f"two{len(previous)}", **more) as other:
            assert (await Browser(other, browser.http.cookies).get("/ui")).url.path == status


async def test_another_session_can_be_ended_from_the_list(instance: Instance) -> None:
    here, there = await user(instance, "ann"), await user(instance, "ann")
    stranger = await user(instance, "bob")
    listed = await here.get("/me/sessions")
    (end,) = set(re.findall(r'action="(/me/sessions/[0-9a-f]+/end)"', listed.text))
    assert (await stranger.act("/me/sessions", end)).status_code == 400
    assert (await there.get("/me")).url.path == "/me"
    answer = await here.act("/me/sessions", end)
    assert "ended" in text_of(answer)
    assert (await there.get("/me")).url.path == "/me/sign-in"
    assert (await here.get("/me")).url.path == "/me"


async def test_signing_in_and_out_of_operators_and_links_are_in_the_audit_log(instance: Instance) -> None:
    browser = await operator(instance)
    await link_for(instance, "ann")
    await browser.act("/ui", "/ui/sign-out")
    entries = (await instance.http.get("/scalix/v1/audit")).json()["entries"]
    acts = {entry["act"]: entry for entry in entries}
    assert acts.keys() >= {"session.begin", "session.end", "user.login_link"}
    assert acts["session.begin"]["actor"] == "operator:master"


async def test_users_who_sign_in_and_out_again_and_again_add_nothing_to_the_audit_log(instance: Instance) -> None:
    async def entries() -> int:
        return len((await instance.http.get("/scalix/v1/audit")).json()["entries"])

    secret = (await made(instance, user_id="ann"))["key"]
    before = await entries()
    for _ in range(3):
        browser = await Browser(instance).sign_in(secret, "/me")
        other = await Browser(instance).sign_in(secret, "/me")
        (end,) = set(re.findall(r'action="(/me/sessions/[0-9a-f]+/end)"', (await browser.get("/me/sessions")).text))
        await browser.act("/me/sessions", end)
        await browser.act("/me", "/me/sign-out")
        assert (await browser.get("/me")).url.path == (await other.get("/me")).url.path == "/me/sign-in"
    assert await entries() == before


@pytest.mark.parametrize(
    ("proxied", "secure"), [({"x-forwarded-proto": "https"}, True), ({"x-forwarded-proto": "http"}, False), ({}, False)]
)
async def test_behind_a_trusted_tls_proxy_the_cookie_is_secure(
    proxied: dict[str, str], secure: bool, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    trusted = {"SCALIX_TRUSTED_PROXIES": "127.0.0.1"}
    async with instance_at(store_url, key_prefix, tmp_path, "proxied", **trusted) as instance:
        browser = Browser(instance, None, **proxied)
        origin = "https://gateway" if secure else "http://gateway"
        sent = {"credential": MASTER_KEY}
        answer = await browser.http.post("/ui/sign-in", data=sent, headers={"origin": origin}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert ("; Secure" in cookie) is secure
    assert "; HttpOnly; SameSite=Strict" in cookie
    assert "Path=/;" in cookie
    assert f"Max-Age={LIFETIME_MS // 1000};" in cookie


@pytest.mark.parametrize("trusted", ["127.0.0.1", "192.0.2.1"])
async def test_every_address_that_is_shown_is_the_one_by_which_the_client_came(
    trusted: str, store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    said = {"x-forwarded-proto": "https", "x-forwarded-host": "ai.example.com, inner:8080"}
    came = "https://ai.example.com" if trusted == "127.0.0.1" else "http://gateway"
    async with instance_at(store_url, key_prefix, tmp_path, "proxied", SCALIX_TRUSTED_PROXIES=trusted) as instance:
        refused = await instance.http.get("/v1/models", headers={**said, "authorization": "Bearer sk-wrong"})
        assert f"curl {came}/v1/models" in refused.json()["error"]["message"]
        link = await instance.http.post("/scalix/v1/login-link", json={"user_id": "ann"}, headers=said)
        assert link.json()["url"].startswith(f"{came}/me/enter#")
        assert f"OPENAI_BASE_URL={came}/v1" in text_of(await Browser(instance, None, **said).get("/"))
        reader = await user(instance)
        set_up = await reader.get("/me/set-up", headers={"x-forwarded-host": "ai.example.com"})
        host = came.partition("//")[2]
        assert f'base_url="http://{host}/v1"' in text_of(set_up)


async def test_a_header_of_a_client_makes_no_connection_secure(instance: Instance) -> None:
    browser = Browser(instance)
    headers = {"origin": "http://gateway", "x-forwarded-proto": "https"}
    answer = await browser.http.post(
        "/ui/sign-in", data={"credential": MASTER_KEY}, headers=headers, follow_redirects=False
    )
    assert "; Secure" not in answer.headers["set-cookie"]


@pytest.mark.parametrize("path", ["/ui/sign-in", "/me/sign-in", "/me/enter"])
async def test_wrong_credentials_wait_longer_each_time(
    path: str, instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    throttle = instance.http._transport.app._guard._throttle  # type: ignore[attr-defined]
    waits = list[float]()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr(throttle, "sleep", sleep)
    monkeypatch.setattr(instance.http._transport, "client", ("203.0.113.9", 1))
    for _ in range(8):
        fields = {"credential": "sk-wrong", "code": "wrong"}
        assert (await Browser(instance).act(path, fields=fields)).status_code == 401
    assert waits == [0.1, 0.2, 0.4]


async def test_a_forged_cookie_reaches_no_session(instance: Instance) -> None:
    browser = await operator(instance)
    text, _, mark = browser.http.cookies["scalix_session"].rpartition(".")
    for forged in (f"{text}.{mark[::-1]}", text, f"x.{mark}", "é", "x" * 5_000, '"', f"{text}.{mark}x"):
        answer = await Browser(instance).get("/ui", headers={"cookie": f"scalix_session={forged}".encode()})
        assert answer.url.path == "/ui/sign-in", forged


async def test_the_text_of_a_session_is_no_notice(instance: Instance) -> None:
    browser = await operator(instance)
    browser.http.cookies["scalix_notice"] = browser.http.cookies["scalix_session"]
    assert (await browser.get("/ui/sessions")).status_code == 200


async def test_a_links_address_is_the_one_that_the_config_has_for_browsers(instance: Instance) -> None:
    asked = {"user_id": "ann"}
    policy = instance.core.policy
    first = (await instance.http.post("/scalix/v1/login-link", json=asked)).json()
    assert first["url"] == "http://gateway" + first["path"]
    policy.replace(replace(policy.current, ui=PageSettings(url="https://ai.example.com/")))
    second = (await instance.http.post("/scalix/v1/login-link", json=asked)).json()
    assert second["url"] == "https://ai.example.com" + second["path"]


async def test_who_is_signed_in_may_come_by_another_link_from_another_site(instance: Instance) -> None:
    browser = await user(instance, "ann")
    stranger = Browser(instance)  # as a browser does that comes from elsewhere: the page is opened without the cookie
    code = await link_for(instance, "bob")
    assert (await stranger.get("/me/enter")).status_code == 200
    answer = await browser.http.post("/me/enter", data={"code": code}, headers={"origin": "http://gateway"})
    assert (answer.status_code, answer.url.path, "bob" in text_of(answer)) == (200, "/me", True)


async def test_a_backup_signs_nobody_in_again(instance: Instance) -> None:
    await operator(instance)
    await link_for(instance, "ann")
    lines = [line async for line in StoreSnapshot(instance.core.store.session.within(5_000), None).lines()]
    names = {str(line[1]) for line in lines}
    assert "sign-in-key" in names
    assert not {name for name in names if name.startswith(("sign-in:", "sign-in-code:"))}


async def test_a_link_that_was_made_before_all_tokens_were_revoked_opens_nothing(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = await link_for(instance, "ann")
    assert (await instance.http.post("/scalix/v1/tokens/revoke", json={"user_id": "ann"})).status_code == 200
    later(instance, 60_000, monkeypatch)
    assert (await Browser(instance).act("/me/enter", fields={"code": code})).status_code == 401
    assert (
        await Browser(instance).act("/me/enter", fields={"code": await link_for(instance, "ann")})
    ).status_code == 200


@pytest.mark.parametrize(
    "others",
    [
        'state={"a":1,"b":"c"}',
        "x[y]=1",
        "a b=1",
        "u@v=1",
        "expires=1",
        'open="',
        "café=1",
        "xscalix_session=x",
        "=",
        "",
    ],
)
async def test_cookies_of_others_on_this_host_sign_nobody_out(others: str, instance: Instance) -> None:
    browser = await operator(instance)
    own = f"scalix_session={browser.http.cookies['scalix_session']}"
    for sent in ([f"{others}; {own}"], [f"{own}; {others}"], [others, own]):
        headers = [(b"cookie", line.encode()) for line in sent]
        answer = await Browser(instance).http.get("/ui/sessions", headers=headers, follow_redirects=False)
        assert answer.status_code == 200


async def test_under_tls_no_neighbour_of_the_host_can_put_its_session_in_place(
    store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    trusted = {"SCALIX_TRUSTED_PROXIES": "127.0.0.1"}
    async with instance_at(store_url, key_prefix, tmp_path, "proxied", **trusted) as instance:
        plain = await user(instance, "mallory")
        cookie = plain.http.cookies["scalix_session"]
        headers = {"x-forwarded-proto": "https", "origin": "https://gateway"}
        for name, status in (("scalix_session", 303), ("__Host-scalix_session", 200)):
            sent = {**headers, "cookie": f"{name}={cookie}"}
            answer = await Browser(instance).http.get("/me/sessions", headers=sent, follow_redirects=False)
            assert answer.status_code == status
        answer = await Browser(instance).http.post(
            "/ui/sign-in", data={"credential": MASTER_KEY}, headers=headers, follow_redirects=False
        )
        assert answer.headers["set-cookie"].startswith("__Host-scalix_session=")


async def test_of_many_sessions_and_links_of_one_user_the_oldest_end(
    instance: Instance, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oldest, bob = await user(instance, "ann"), await user(instance, "bob")
    first = await link_for(instance, "ann")
    for step in range(MOST_AT_ONCE):
        later(instance, step, monkeypatch)
        newest_link = await link_for(instance, "ann")
        newest = Browser(instance)
        await newest.act("/me/enter", fields={"code": newest_link})
    for _ in range(MOST_AT_ONCE):
        last = await link_for(instance, "ann")
    assert (await oldest.get("/me")).url.path == "/me/sign-in"
    for browser in (newest, bob):
        assert (await browser.get("/me")).url.path == "/me"
    assert (await Browser(instance).act("/me/enter", fields={"code": first})).status_code == 401
    assert (await Browser(instance).act("/me/enter", fields={"code": last})).status_code == 200
    kept = instance.core.store.session
    assert len([name async for name in kept.names_like("*sign-in:*")]) <= MOST_AT_ONCE + 1
