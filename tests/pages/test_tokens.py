"""Signing in with a token of an issuer: a user's, and an operator's where the config names the issuer as that."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jwt
import pytest

from scalix.service.identity.key_sets import SecretKey
from tests.edge.key_rig import act
from tests.edge.limits_rig import CONFIG, Instance
from tests.pages.rig import Browser, instance_at, text_of

SECRET = "0123456789abcdef-of-these-tests-0123456789"
ISSUERS = """
  jwt:
    issuers:
      - {issuer: users, audience: [scalix], secret: "${PAGES_SECRET}"}
      - {issuer: staff, audience: [scalix], secret: "${PAGES_SECRET}", operators: true}
"""


@pytest.fixture
async def instance(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    (tmp_path / "config.yaml").write_text(CONFIG + ISSUERS.removeprefix("\n"), encoding="utf-8")
    async with instance_at(store_url, key_prefix, tmp_path, PAGES_SECRET=SECRET) as one:
        yield one


def token(issuer: str, name: str, **claims: Any) -> str:
    now_s = int(time.time())
    said = {
        "iss": issuer,
        "aud": "scalix",
        "sub": name,
        "iat": now_s - 5,
        "exp": now_s + 600,
        "jti": f"{issuer}-{name}",
    }
    return jwt.encode({**said, **claims}, SECRET, "HS256")


async def test_a_users_token_opens_their_pages_until_it_is_revoked(instance: Instance) -> None:
    browser = await Browser(instance).sign_in(token("users", "ann"), "/me")
    assert "ann" in text_of(await browser.get("/me"))
    await act(instance, "/scalix/v1/tokens/revoke", user_id="ann", jti="users-ann")
    assert (await browser.get("/me")).url.path == "/me/sign-in"


async def test_a_session_ends_with_the_token_that_it_was_signed_in_with(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    browsers = {
        "/me": await Browser(instance).sign_in(token("users", "ann"), "/me"),
        "/ui": await Browser(instance).sign_in(token("staff", "ann"), "/ui"),
    }
    sign_ins = instance.core.callers.sign_ins
    now_ms = sign_ins.now_ms
    monkeypatch.setattr(sign_ins, "now_ms", lambda: now_ms() + 700_000)
    for path, browser in browsers.items():
        assert (await browser.get(path)).url.path == f"{path}/sign-in"


async def test_an_operators_token_opens_the_operators_pages_and_nothing_else(instance: Instance) -> None:
    staff = token("staff", "ann")
    browser = await Browser(instance).sign_in(staff, "/ui")
    assert (await browser.get("/me")).status_code == 403
    assert (await Browser(instance).act("/me/sign-in", fields={"credential": staff})).status_code == 403
    for path in ("/user/list", "/scalix/v1/usage", "/v1/models"):
        answer = await instance.http.get(path, headers={"authorization": f"Bearer {staff}"})
        assert answer.status_code == 401, path
    entries = (await instance.http.get("/scalix/v1/audit")).json()["entries"]
    assert "operator:ann" in {entry["actor"] for entry in entries}


async def test_a_session_ends_when_a_reload_takes_or_gives_the_right_that_it_was_not_signed_in_with(
    instance: Instance,
) -> None:
    browsers = {
        "/me": await Browser(instance).sign_in(token("users", "ann"), "/me"),
        "/ui": await Browser(instance).sign_in(token("staff", "ann"), "/ui"),
    }
    swapped = [replace(one, operators=not one.operators) for one in instance.core.policy.current.issuers]
    instance.core.callers.tokens.trust_only(swapped)
    for path, browser in browsers.items():
        assert (await browser.get(f"{path}/sessions")).url.path == f"{path}/sign-in"


async def test_a_session_ends_when_its_issuer_signs_with_another_key(instance: Instance) -> None:
    browsers = {
        "/me": await Browser(instance).sign_in(token("users", "ann"), "/me"),
        "/ui": await Browser(instance).sign_in(token("staff", "ann"), "/ui"),
    }
    assert {(await browser.get(f"{path}/sessions")).status_code for path, browser in browsers.items()} == {200}
    for issuer in instance.core.policy.current.issuers:
        instance.core.callers.tokens.trust(issuer, SecretKey(b"another-secret-of-these-tests-0123456789"))
    for path, browser in browsers.items():
        assert (await browser.get(f"{path}/sessions")).url.path == f"{path}/sign-in"


@pytest.mark.parametrize("claims", [{"exp": 1}, {"aud": "other"}, {"iss": "strangers"}])
async def test_a_wrong_token_signs_nobody_in(claims: dict[str, Any], instance: Instance) -> None:
    answer = await Browser(instance).act("/ui/sign-in", fields={"credential": token("staff", "ann", **claims)})
    assert answer.status_code == 401
