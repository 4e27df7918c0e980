"""What users of other gateways and dashboards have reported, tried here. docs/pages.md lists the reports."""

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edge.key_rig import made, with_key
from tests.edge.limits_rig import Instance
from tests.edge.privacy_rig import texts_of
from tests.pages.rig import ORIGIN, Browser, form_token, instance_at, operator, text_of, user
from tests.pages.test_signing_in import link_for
from tests.service.outage_rig import MASTER_KEY, PROMPT


@pytest.fixture
async def other(store_url: str, key_prefix: str, tmp_path: Path, instance: Instance) -> AsyncIterator[Instance]:
    async with instance_at(store_url, key_prefix, tmp_path, "two") as one:
        yield one


async def test_a_cookie_that_counts_no_more_leads_to_the_form_once_and_is_replaced(instance: Instance) -> None:
    browser = await operator(instance)
    old = browser.http.cookies["scalix_session"]
    await browser.act("/ui", "/ui/sign-out")
    for stale in (old, "token=eyJhbGciOiJub25lIn0.e30.", "x" * 4_000):
        again = Browser(instance)
        again.http.cookies.set("scalix_session", stale, domain="gateway.local")
        first = await again.get("/ui")
        assert (first.url.path, len(first.history)) == ("/ui/sign-in", 1)
        await again.sign_in(MASTER_KEY, "/ui")
        assert (await again.get("/ui/sessions")).url.path == "/ui/sessions"


async def test_a_link_that_is_opened_at_two_instances_at_once_signs_one_browser_in(
    instance: Instance, other: Instance
) -> None:
    for _ in range(5):
        code = await link_for(instance, "ann")
        tries = [Browser(one).act("/me/enter", fields={"code": code}) for one in (instance, other) * 4]
        statuses = [answer.status_code for answer in await asyncio.gather(*tries)]
        assert sorted(statuses) == [200] + [401] * 7


async def test_a_payment_that_is_sent_many_times_at_once_is_added_once(instance: Instance, other: Instance) -> None:
    await instance.http.post("/user/new", json={"user_id": "ann", "auto_create_key": False})
    browser = await operator(instance)
    page = await browser.get("/ui/users/ann")
    (credit_id,) = re.findall(r'name="credit_id" type="\w+" value="(\w+)"', page.text)
    sent = {"form_token": form_token(page), "credit_id": credit_id, "amount_usd": "10"}
    browsers = [Browser(one, browser.http.cookies) for one in (instance, other) * 4]
    path, headers = "/ui/users/ann/credit", {"origin": ORIGIN}
    answers = await asyncio.gather(*(one.http.post(path, data=sent, headers=headers) for one in browsers))
    assert {answer.status_code for answer in answers} == {200}
    assert "Balance $10.00" in text_of(await browser.get("/ui/users/ann"))
    entries = (await instance.http.get("/scalix/v1/audit?object=user:ann")).json()["entries"]
    assert "user.credit" in {entry["act"] for entry in entries}


async def test_no_credential_that_was_typed_stands_in_a_log_the_audit_or_a_page(
    instance: Instance, key_prefix: str, caplog: pytest.LogCaptureFixture
) -> None:
    ended = (await made(instance, user_id="ann", duration="1s"))["key"]
    good = (await made(instance, user_id="ann"))["key"]
    blocked = (await made(instance, user_id="ann"))["key"]
    assert (await instance.http.post("/key/block", json={"key": blocked})).status_code == 200
    code = await link_for(instance, "ann")
    secrets = [ended, blocked, good, code, "sk-a-wrong-one-0123456789", "ey.J0.wrong", MASTER_KEY]
    shown = list[str]()
    with caplog.at_level(logging.DEBUG):
        for secret in secrets:
            for path, fields in (("/me/sign-in", {"credential": secret}), ("/me/enter", {"code": f"{secret}x"})):
                shown.append((await Browser(instance).act(path, fields=fields)).text)
        shown.append((await (await operator(instance)).get("/ui/audit")).text)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("scalix"))
    kept = str(await texts_of(instance, key_prefix))
    for secret in secrets:
        assert secret not in ours
        assert secret not in kept
        # What was typed into the field of a link stands there again, one character longer than what is right.
        assert not any(secret in text.replace(f"{secret}x", "") for text in shown)


async def test_a_proxy_that_names_another_host_lets_forms_through(instance: Instance) -> None:
    browser = Browser(instance)
    headers = {"host": "10.0.0.7:4000", "origin": "https://ai.example.com", "sec-fetch-site": "same-origin"}
    sent = {"credential": MASTER_KEY, "to": "/ui/sessions"}
    answer = await browser.http.post("/ui/sign-in", data=sent, headers=headers, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/sessions")


async def test_a_day_is_the_sum_of_all_keys_and_models_of_a_user(instance: Instance) -> None:
    keys = [(await made(instance, user_id="ann"))["key"] for _ in range(2)]
    for key in keys:
        answer = await instance.http.post("/v1/chat/completions", json=PROMPT, headers=with_key(key))
        assert answer.status_code == 200, answer.text
    told = text_of(await (await user(instance, "ann")).get("/me"))
    assert "Requests today 2 " in told
    assert re.search(r"By day .* 2 24 ", told), told
