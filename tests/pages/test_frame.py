"""The frame of the pages: who sees what, signing in and out, forms, headers, sizes."""

import gzip
import re
from pathlib import Path
from typing import Any

import pytest

from scalix.edge.routes import PAGE, shown_route
from scalix.pages.all_rows import PAGE_ROWS
from scalix.pages.finding import PathTable, path_to
from scalix.pages.formats import usd
from scalix.pages.rows import PageRow, Role
from tests.edge.key_rig import act, made
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, instance_at, operator, text_of, user
from tests.service.outage_rig import MASTER_KEY

PAGES = [row for row in PAGE_ROWS if row.method == "GET" and "{" not in row.path]


@pytest.mark.parametrize("row", PAGES, ids=lambda row: row.path)
async def test_each_page_is_seen_by_its_role_and_by_nobody_else(row: PageRow, instance: Instance) -> None:
    nobody = await Browser(instance).get(row.path, follow_redirects=False)
    if row.role is Role.ANYBODY:
        assert nobody.status_code == 200
        return
    assert nobody.status_code == 303
    assert nobody.headers["location"].startswith("/ui/sign-in" if row.role is Role.OPERATOR else "/me/sign-in")
    browsers = {Role.OPERATOR: await operator(instance), Role.USER: await user(instance)}
    for role, browser in browsers.items():
        answer = await browser.get(row.path)
        assert answer.status_code == (200 if role is row.role else 403), text_of(answer)


async def test_a_monitor_that_asks_for_the_head_alone_is_answered_as_one_that_asks_for_the_page(
    instance: Instance,
) -> None:
    nobody, signed_in = Browser(instance), await operator(instance)
    for path in ("/", "/ui", "/ui/sign-in", "/ui/nowhere", "/me", "/me/sign-out"):
        for browser in (nobody, signed_in):
            heads, answer = await browser.http.head(path), await browser.get(path)
            assert (heads.status_code, heads.url) == (answer.status_code, answer.url)
    refused = await nobody.http.put("/ui")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")


async def test_a_session_is_over_everywhere_once_it_is_signed_out(
    store_url: str, key_prefix: str, tmp_path: Path, instance: Instance
) -> None:
    async with instance_at(store_url, key_prefix, tmp_path, "two") as other:
        here = await operator(instance)
        there = Browser(other, here.http.cookies)
        assert (await there.get("/ui")).url.path == "/ui"
        await here.act("/ui", "/ui/sign-out")
        assert (await there.get("/ui")).url.path == "/ui/sign-in"


@pytest.mark.parametrize("ends", ["block", "delete", "regenerate"])
async def test_a_session_ends_with_the_key_that_it_was_signed_in_with(ends: str, instance: Instance) -> None:
    key = (await made(instance))["key"]
    browser = await Browser(instance).sign_in(key, "/me")
    if ends == "delete":
        await act(instance, "/key/delete", keys=[key])
    else:
        await act(instance, f"/key/{ends}", key=key)
    assert (await browser.get("/me")).url.path == "/me/sign-in"


async def test_a_cookie_opens_no_route_of_the_api(instance: Instance) -> None:
    browser = await operator(instance)
    assert (await browser.get("/user/list")).status_code == 401
    assert (await browser.get("/scalix/v1/usage")).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"sec-fetch-site": "cross-site"},
        {"origin": "null"},
        {"origin": "http://["},
    ],
    ids=["origin", "site", "hidden", "no-url"],
)
async def test_a_form_of_another_site_is_not_taken(headers: dict[str, str], instance: Instance) -> None:
    browser = await operator(instance)
    answer = await browser.act("/ui", "/ui/sign-out", headers=headers)
    assert answer.status_code == 403
    assert (await browser.get("/ui")).status_code == 200


async def test_a_form_without_its_token_is_not_taken(instance: Instance) -> None:
    browser, other = await operator(instance), await operator(instance)
    for page in (browser, other):
        assert (await page.get("/ui")).status_code == 200
    sent = {"form_token": re.findall(r'form_token" value="(\w+)"', (await other.get("/ui")).text)[0]}
    answer = await browser.http.post("/ui/sign-out", data=sent, headers={"origin": "http://gateway"})
    assert answer.status_code == 403
    assert (await browser.get("/ui")).url.path == "/ui"


@pytest.mark.parametrize("path", ["/", "/ui/sign-in", "/ui/no-such-page", "/me/sign-in", "/assets/none.css"])
async def test_every_answer_has_the_headers_that_keep_a_page_alone(path: str, instance: Instance) -> None:
    headers = (await Browser(instance).get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"


async def test_a_first_view_takes_three_requests_and_200_kilobytes(instance: Instance) -> None:
    browser = await operator(instance)
    page = await browser.get("/ui")
    parts = re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text)
    sizes = [len(gzip.compress(page.content))]
    for part in parts:
        answer = await browser.get(part)
        assert answer.headers["content-encoding"] == "gzip"
        assert "immutable" in answer.headers["cache-control"]
        sizes.append(len(gzip.compress(answer.content)))
    assert len(sizes) == 3
    assert sum(sizes) <= 200_000


@pytest.mark.parametrize("row", PAGES, ids=lambda row: row.path)
async def test_no_page_holds_script_or_style_or_a_foreign_host(row: PageRow, instance: Instance) -> None:
    by_role = {Role.USER: user, Role.OPERATOR: operator}
    browser = await by_role[row.role](instance) if row.role in by_role else Browser(instance)
    answer = await browser.get(row.path)
    assert (answer.status_code, answer.url.path) == (200, row.path)
    text = answer.text
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! src=\"/assets/)", text)
    # What is loaded or sent; a link that somebody follows, such as the tier's upgrade_url, may lead elsewhere.
    assert not re.search(r"(?:src|action)=\"(?:https?:)?//|<link[^>]*href=\"(?:https?:)?//|javascript:", text)


@pytest.mark.parametrize("to", ["https://elsewhere.example", "//elsewhere.example", "/ui//x\\@y", "/uix", "/me"])
async def test_signing_in_leads_to_no_other_site(to: str, instance: Instance) -> None:
    answer = await Browser(instance).act("/ui/sign-in", fields={"credential": MASTER_KEY, "to": to})
    assert answer.url.path == "/ui"
    assert answer.url.host == "gateway"


async def test_what_is_wrong_with_a_key_is_said_at_its_field(instance: Instance) -> None:
    answer = await Browser(instance).act("/ui/sign-in", fields={"credential": "sk-wrong"})
    assert answer.status_code == 401
    assert "not right" in text_of(answer)
    assert 'aria-invalid="true"' in answer.text
    assert "sk-wrong" not in answer.text


async def test_a_key_of_the_other_role_is_told_where_to_go(instance: Instance) -> None:
    answer = await Browser(instance).act("/me/sign-in", fields={"credential": MASTER_KEY})
    assert (answer.status_code, "/ui" in text_of(answer)) == (403, True)


@pytest.mark.parametrize("row", [row for row in PAGE_ROWS if row.role is not Role.ANYBODY], ids=lambda row: row.path)
async def test_neither_a_stranger_nor_the_other_role_sees_or_does_anything(row: PageRow, instance: Instance) -> None:
    path = path_to(row.path, *["ann"] * row.path.count("{"))
    nobody, other = Browser(instance), await (user(instance) if row.role is Role.OPERATOR else operator(instance))
    token = re.findall(r'form_token" value="(\w+)"', (await other.get("/")).text)[0]
    sent: Any = {"data": {"form_token": token, "confirm": "ann"}} if row.method == "POST" else {}
    origin = {"origin": "http://gateway"}
    refused = await other.http.request(row.method, path, headers=origin, **sent)
    assert refused.status_code == 403, text_of(refused)
    answer = await nobody.http.request(row.method, path, headers=origin, follow_redirects=False, **sent)
    assert answer.status_code == 303
    assert "/sign-in" in answer.headers["location"]


async def test_a_line_of_the_log_names_a_page_and_nobody_in_it(instance: Instance) -> None:
    scope = {"type": "http", "path": "/ui/users/ann/tier", "headers": []}
    assert shown_route(scope) == "-"
    found = PathTable(PAGE_ROWS).find(b"/ui/users/ann/tier")
    assert found is not None
    assert shown_route({**scope, PAGE: found.shown}) == "/ui/users/*/tier"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "$0.00"),
        (0.06, "$0.06"),
        (0.0626, "$0.063"),
        (1234.5, "$1,234.50"),
        (-0.5, "−$0.50"),
        (0.00000123, "$0.0000012"),
    ],
)
def test_amounts_are_cents_and_small_ones_have_two_digits(value: float, shown: str) -> None:
    assert usd(value) == shown
