"""Figures and sentences of pages: amounts below zero, and notices that are as long as what somebody has typed."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scalix.pages.cookies import NOTICE
from scalix.pages.finding import path_to
from scalix.pages.formats import limit, number, percent, usd
from tests.edge.key_rig import act
from tests.edge.limits_rig import Instance
from tests.pages.rig import ORIGIN, form_token, instance_at, operator, text_of


@pytest.fixture
async def instance(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    async with instance_at(store_url, key_prefix, tmp_path) as one:
        yield one


def test_what_is_below_zero_has_its_sign_before_the_dollar() -> None:
    assert [usd(-1), usd(-1234.5), usd(-0.00123), usd(0)] == ["−$1.00", "−$1,234.50", "−$0.0012", "$0.00"]
    assert [number(-1234), number(-0.5), percent(-0.123)] == ["−1,234", "−0.5", "−12.3 %"]


def test_a_limit_is_told_to_its_user_in_words() -> None:
    names = ("requests-hour", "spend_usd-month", "concurrent", "key.rpm_limit", "key.max_budget")
    words = ["Requests per hour", "Spending per month", "Requests at once", "Requests per minute", "Budget"]
    assert [limit(name) for name in names] == words


async def test_a_balance_below_zero_is_said_alike_in_the_notice_and_on_the_page(instance: Instance) -> None:
    await act(instance, "/user/new", user_id="ann")
    page = path_to("/ui/users/{user}", "ann")
    browser = await operator(instance)
    answer = await browser.act(page, f"{page}/credit", {"credit_id": "one", "amount_usd": "-1234.5"})
    told = text_of(answer)
    assert "The balance is −$1,234.50 now." in told
    assert told.count("−$1,234.50") == 2
    assert "$-" not in told


@pytest.mark.parametrize("zeros", [10, 1_750, 4_000])
async def test_a_notice_of_a_very_long_amount_is_cut_and_its_cookie_kept_by_browsers(
    zeros: int, instance: Instance
) -> None:
    await act(instance, "/user/new", user_id="ann")
    page = path_to("/ui/users/{user}", "ann")
    browser = await operator(instance)
    sent = {"form_token": form_token(await browser.get(page)), "limit": "requests-day", "amount": "0" * zeros + "1"}
    answer = await browser.http.post(f"{page}/limit", data=sent, headers={"origin": ORIGIN}, follow_redirects=False)
    assert answer.status_code == 303
    (cookie,) = [one for one in answer.headers.get_list("set-cookie") if NOTICE in one]
    assert len(cookie) < 4_096
    told = text_of(await browser.get(page))
    assert f"requests-day: {'0' * min(zeros, 1_700)}" in told
    assert ("0…" in told) is (zeros == 4_000)
