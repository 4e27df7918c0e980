"""From where the pages open: off, a port of their own, networks, and production."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.errors import InvalidApiKey
from scalix.domain.pages import PageSettings
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, instance_at, operator, text_of, user

HERE = ("127.0.0.0/8",)


@pytest.fixture(params=["development", "production"])
async def instance(
    request: pytest.FixtureRequest, store_url: str, key_prefix: str, tmp_path: Path
) -> AsyncIterator[Instance]:
    async with instance_at(store_url, key_prefix, tmp_path, SCALIX_ENV=request.param) as one:
        yield one


def set_ui(instance: Instance, **settings: Any) -> None:
    """What a reload does."""
    policy = instance.core.policy
    policy.replace(replace(policy.current, ui=PageSettings(**settings)))


async def status_of(instance: Instance, path: str) -> int:
    return (await Browser(instance).get(path)).status_code


async def test_without_settings_production_alone_closes_the_operators_pages(instance: Instance) -> None:
    opens = not instance.core.is_production
    assert await status_of(instance, "/ui") == (200 if opens else 404)
    assert await status_of(instance, "/ui/sign-in") == (200 if opens else 404)
    assert await status_of(instance, "/me") == 200
    assert (await user(instance)).http.cookies["scalix_session"]


async def test_the_networks_that_are_allowed_open_them_and_no_other_does(instance: Instance) -> None:
    set_ui(instance, allow=HERE)
    browser = await operator(instance)
    assert (await browser.get("/ui")).status_code == 200
    set_ui(instance, allow=("10.0.0.0/8",))
    for path in ("/ui", "/ui/sign-in", "/ui/sessions", "/ui/no-such-page"):
        answer = await browser.get(path)
        assert (answer.status_code, "no page here" in text_of(answer)) == (404, True)
    assert await status_of(instance, "/me") == 200


async def test_with_a_port_of_their_own_they_are_there_alone(instance: Instance) -> None:
    set_ui(instance, port=4001)
    assert await status_of(instance, "/ui") == 404
    assert 'href="/ui"' not in (await Browser(instance).get("/")).text
    assert await status_of(instance, "/me") == 200
    beside = Browser(instance)
    beside.http.base_url = "http://gateway:4001"
    first = await beside.get("/")
    assert 'href="/ui"' in first.text
    assert "http://gateway:4000/v1" in text_of(first), "the API is at the other port"
    style = re.search(r'href="(/[^"]+\.css)"', first.text)
    assert style is not None
    for path in ("/ui/sign-in", "/me/sign-in", style[1]):
        assert (await beside.get(path)).status_code == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/health/readiness"),
        ("GET", "/metrics"),
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
        ("POST", "/v1/messages"),
        ("POST", "/key/generate"),
        ("GET", "/no/such/thing"),
    ],
)
async def test_a_port_of_the_pages_has_nothing_else(method: str, path: str, instance: Instance) -> None:
    set_ui(instance, port=4001)
    answer = await instance.http.request(method, f"http://gateway:4001{path}", content=b"{}")
    assert (answer.status_code, "The API is at port 4000." in answer.text) == (404, True)


async def test_a_port_of_the_pages_refuses_no_key_before_it_says_that_no_api_is_there(instance: Instance) -> None:
    set_ui(instance, port=4001)
    gate: Any = instance.http._transport.app  # type: ignore[attr-defined]
    gate._early.refusal = lambda scope, body: InvalidApiKey("No such key.")
    wrong: Any = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": []}
    assert gate.refuse_at_once({**wrong, "server": ("10.0.0.7", 4000)}, b"{}")[0] == 401
    assert gate.refuse_at_once({**wrong, "server": ("10.0.0.7", 4001)}, b"{}") is None


async def test_pages_that_are_off_are_no_pages(instance: Instance) -> None:
    set_ui(instance, enabled=False)
    for path in ("/", "/ui", "/me", "/me/sign-in"):
        answer = await Browser(instance).get(path)
        assert answer.json()["error"]["code"] == "route_not_found"
    refused = await instance.http.post("/scalix/v1/login-link", json={"user_id": "ann"})
    assert (refused.status_code, "no pages" in refused.text) == (403, True)


@pytest.mark.parametrize(
    "sent", [{"x-forwarded-for": "127.0.0.1"}, {"forwarded": "for=127.0.0.1"}, {"x-real-ip": "::1"}]
)
async def test_a_proxy_that_nobody_has_named_opens_them_to_nobody(sent: dict[str, str], instance: Instance) -> None:
    set_ui(instance, allow=HERE)
    assert await status_of(instance, "/ui/sign-in") == 200
    assert (await Browser(instance, None, **sent).get("/ui/sign-in")).status_code == 404


async def test_a_proxy_that_is_trusted_says_to_whom_they_open(store_url: str, key_prefix: str, tmp_path: Path) -> None:
    trusted = {"SCALIX_TRUSTED_PROXIES": "127.0.0.1"}
    async with instance_at(store_url, key_prefix, tmp_path, "proxied", **trusted) as instance:
        set_ui(instance, allow=("10.0.0.0/8",))
        for forwarded, status in (("10.1.2.3", 200), ("203.0.113.9", 404), ("10.1.2.3, 203.0.113.9", 404)):
            browser = Browser(instance, None, **{"x-forwarded-for": forwarded})
            assert (await browser.get("/ui/sign-in")).status_code == status


@pytest.mark.parametrize(
    "path", ["//ui", "/UI", "/ui%2f", "/%75i", "/ui/%2e%2e", "/./ui", "/ui;x", "/ui%00", "/me%2f..%2fui"]
)
async def test_no_spelling_of_their_path_goes_around_the_door(path: str, instance: Instance) -> None:
    browser = await operator_beside(instance)
    set_ui(instance, allow=("10.0.0.0/8",))
    sent = browser.http.build_request("GET", "/")
    sent.url = sent.url.copy_with(raw_path=path.encode())
    assert (await browser.http.send(sent)).status_code == 404


async def operator_beside(instance: Instance) -> Browser:
    """A browser that is signed in as the operator, from where the pages open."""
    set_ui(instance, allow=HERE)
    return await operator(instance)
