"""What somebody reads of their limits: one line for status bars, and what comes next at this pace."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from scalix.domain.limits.limits import Window
from scalix.domain.limits.quota import Tally
from scalix.service.usage.pace import coming
from scalix.service.usage.status_line import status_line
from scalix.service.usage.usage import Use
from tests.edge.key_rig import act, made, with_key
from tests.edge.limits_rig import Instance
from tests.edge.privacy_rig import Make, instances
from tests.edge.usage_rig import settle

NOON_MS = 20_454 * 86_400_000 + 43_200_000
LIMITS = {"requests": {"hour": 100}, "tokens": {"day": 10_000}, "spend_usd": {"month": 5}}


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Make]:
    async with instances(store_url, tmp_path, key_prefix) as new:
        yield new


async def line(instance: Instance, secret: str, **query: str) -> httpx.Response:
    return await instance.http.get("/scalix/v1/usage", params={"format": "line", **query}, headers=with_key(secret))


async def use_at_noon(instance: Instance, user: str, **tallies: Tally) -> str:
    """The line of somebody who has used so much at noon of a day."""
    whose = await instance.core.usage.usage.of_user(user)
    known = {Window(name): tally for name, tally in tallies.items()}
    return status_line(whose, Use(NOON_MS, known, 0, [], None))


async def test_one_line_says_the_tier_the_limit_most_used_its_reset_and_the_charge(make: Make) -> None:
    a = make()
    key = await made(a, user_id="ann")
    await act(a, "/user/update", user_id="ann", tier="open", limits=LIMITS)
    assert (await a.ask("ann")).status_code == 200
    answer = await line(a, key["key"])
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert answer.text.startswith("open · 1% of this hour's requests · resets in ")
    assert answer.text.endswith(" · <$0.01\n")
    assert answer.text.count("\n") == 1


async def test_the_line_goes_by_the_limit_of_which_most_is_used(make: Make) -> None:
    a = make()
    await act(a, "/user/new", user_id="ann", auto_create_key=False, tier="open", limits=LIMITS)
    say = use_at_noon
    assert await say(a, "ann") == "open · 0% of this month's spend · resets in 31 d · $0.00"
    assert await say(a, "ann", day=Tally(3, 6_290, 0)) == "open · 62% of today's tokens · resets in 12 h · $0.00"
    assert await say(a, "ann", hour=Tally(200, 5, 0)) == "open · 200% of this hour's requests · resets in 1 h · $0.00"
    spent = Tally(1, 1, 4_999_999_999)
    assert await say(a, "ann", month=spent) == "open · 99% of this month's spend · resets in 31 d · $0.00"
    await act(a, "/user/new", user_id="ben", auto_create_key=False, tier="open")
    assert await say(a, "ben", day=Tally(3, 12_345, 0)) == "open · 12,345 tokens today · $0.00"
    # A limit that refuses nobody is the operator's alone to see.
    await act(a, "/user/new", user_id="dan", auto_create_key=False, tier="trial")
    assert await say(a, "dan", month=Tally(1, 1, 0)) == "trial · 0 tokens today · $0.00"


async def test_the_line_has_what_is_left_of_a_balance(make: Make) -> None:
    a = make()
    key = await made(a, user_id="ann")
    await act(a, "/user/update", user_id="ann", tier="open")
    await act(a, "/user/credit", user_id="ann", amount_usd="12.5", credit_id="p1")
    now_ms = await a.core.store.session.time_ms()
    await settle(a, "ann", at_ms=now_ms, charge=1_200_000_000)
    answer = await line(a, key["key"])
    assert answer.text == "open · 10 tokens today · $1.20 · $11.30 left\n"


async def test_the_line_is_ones_own_and_a_wrong_question_is_refused(make: Make) -> None:
    a = make()
    key = await made(a, user_id="ann")
    assert (await line(a, key["key"], user_id="ben")).status_code == 403
    assert (await line(a, "sk-wrong")).status_code == 401
    for query in ({"format": "csv"}, {"format": "line", "days": "3"}):
        answer = await a.http.get("/scalix/v1/usage", params=query, headers=with_key(key["key"]))
        assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_request")
    by_operator = await a.http.get("/scalix/v1/usage", params={"format": "line", "user_id": "ann"})
    assert by_operator.text == (await line(a, key["key"])).text
    assert (await a.http.get("/scalix/v1/usage", params={"format": "line"})).text.startswith("operator · ")


async def test_what_comes_next_is_told_of_every_limit_that_refuses(make: Make) -> None:
    a = make()
    await act(a, "/user/new", user_id="ann", auto_create_key=False, tier="trial", limits=LIMITS)
    whose = await a.core.usage.usage.of_user("ann")
    tallies = {Window.HOUR: Tally(0, 0, 0), Window.DAY: Tally(9, 7_500, 0), Window.MONTH: Tally(9, 9, 2_500_000_000)}
    told = {one["limit"]: one for one in coming(whose, Use(NOON_MS, tallies, 0, [], None))}
    assert set(told) == {"requests-hour", "tokens-day", "spend_usd-month"}
    hour, day, month = told.values()
    assert (hour["comes_next"], hour["at_reset"], hour["reached_at"]) == ("nothing used yet", 0, None)
    assert (day["used_percent"], day["at_reset"], day["resets_in"]) == (75, 15_000, "in 12 hours")
    assert day["comes_next"] == "at this pace used up in 4 hours"
    assert datetime.fromisoformat(day["reached_at"]).timestamp() * 1000 == NOON_MS + 4 * 3_600_000
    assert month["used_percent"] == 50
    full = coming(whose, Use(NOON_MS, {Window.DAY: Tally(9, 10_000, 0)}, 0, [], None))
    assert [one["comes_next"] for one in full if one["limit"] == "tokens-day"] == ["used up"]
    slow = coming(whose, Use(NOON_MS, {Window.DAY: Tally(9, 2_000, 0)}, 0, [], None))
    assert [one["comes_next"] for one in slow if one["limit"] == "tokens-day"] == ["at this pace 40 % used by then"]
    assert json.dumps(told)
