"""The operator's pages of requests, money and limits."""

from scalix.pages.finding import path_to
from scalix.pages.formats import usd
from tests.edge.key_rig import act
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, text_of, user


async def test_requests_are_found_by_what_is_asked_for_and_one_is_told_whole(
    instance: Instance, browser: Browser
) -> None:
    for name in ("ann", "bob"):
        await act(instance, "/user/new", user_id=name, tier="pro")
        assert (await instance.ask(name)).status_code == 200
    listed = await browser.get("/ui/requests")
    assert listed.text.count('href="/ui/requests/') == 2
    found = await browser.get("/ui/requests?user_id=ann&outcome=success&model=")
    assert found.text.count('href="/ui/requests/') == 1
    assert "No request fits" in text_of(await browser.get("/ui/requests?outcome=provider_failed"))
    for wrong in ("outcome=odd", "from=today", "cursor=x"):
        assert (await browser.get(f"/ui/requests?{wrong}")).status_code == 400
    path, _, named = found.text.partition('href="/ui/requests/')[2].partition('"')[0].partition("?")
    assert named == "user_id=ann"
    event = (await instance.http.get("/scalix/v1/usage/events?user_id=ann")).json()["events"][0]
    assert path == event["id"]
    told = text_of(await browser.get(f"/ui/requests/{path}"))
    for text in (event["id"], event["model"], usd(event["charge_usd"]), "Of the user ann", "kept nowhere"):
        assert text in told
    # A client's own id does not tell when it was made, and the list names whose it is.
    instance.http.headers["x-request-id"] = "mine"
    await instance.ask("ann")
    rows = (await browser.get("/ui/requests?user_id=ann")).text
    own = next(part.partition('"')[0] for part in rows.split('href="')[1:] if "/ui/requests/mine" in part[:40])
    assert "Request mine" in text_of(await browser.get(own.replace("&amp;", "&")))
    assert (await browser.get("/ui/requests/nosuch")).status_code == 404


async def test_pages_of_requests_go_on_without_a_gap(instance: Instance, browser: Browser) -> None:
    await act(instance, "/user/new", user_id="ann", tier="open")
    ids = {(await instance.ask("ann")).headers["x-request-id"] for _ in range(53)}
    seen: list[str] = []
    path = "/ui/requests"
    while path:
        text = (await browser.get(path)).text
        seen += [part.partition("?")[0] for part in text.split('href="/ui/requests/')[1:]]
        following = [part.partition('"')[0] for part in text.split('href="') if 'rel="next"' in part.partition(">")[0]]
        path = following[0].replace("&amp;", "&") if following else ""
    assert len(seen) == len(ids)
    assert set(seen) == ids


async def test_money_is_that_of_the_reports(instance: Instance, browser: Browser) -> None:
    await act(instance, "/user/new", user_id="paul", tier="pro")
    for name in ("ann", "paul"):
        await instance.ask(name)
    told = text_of(await browser.get("/ui/money"))
    total = (await instance.http.get("/scalix/v1/reports/margin")).json()["total"]
    assert f"Charged {usd(total['charge_usd'])} Cost {usd(total['provider_cost_usd'])}" in told
    rows = (await instance.http.get("/scalix/v1/reports/tier")).json()["rows"]
    assert {row["tier"] for row in rows} == {"free", "pro"}
    for row in rows:
        assert f"{row['tier']} {row['requests']} {usd(row['charge_usd'])} {usd(row['provider_cost_usd'])}" in told
    assert "The users who cost most" in told


async def test_limits_tell_how_many_ran_into_them(instance: Instance, browser: Browser) -> None:
    for _ in range(3):
        await instance.ask("ann")
    told = text_of(await browser.get("/ui/limits"))
    assert "requests-hour 1" in told
    assert "would have refused nothing" in told


async def test_the_page_of_limits_tells_who_ran_into_them_and_leads_there(instance: Instance, browser: Browser) -> None:
    for name in ("ann", "ben", "ODD <b>"):
        for _ in range(3):
            await instance.ask(name)
    answer = await browser.get("/ui/limits")
    for name in ("ann", "ben", "ODD <b>"):
        assert f'href="{path_to("/ui/users/{user}", name)}"' in answer.text
    assert "ann free requests-hour left" in text_of(answer)
    assert "Nobody ran into this limit" in text_of(await browser.get("/ui/limits?limit=tokens-day"))
    assert (await browser.get("/ui/limits?limit=many")).status_code == 400


async def test_how_much_is_on_a_page_is_not_the_urls_to_say(instance: Instance, browser: Browser) -> None:
    await instance.http.post("/user/new", json={"user_id": "ann", "tier": "open", "auto_create_key": False})
    for _ in range(60):
        assert (await instance.ask("ann")).status_code == 200
    own = await user(instance, "ann")
    for seen, path in ((browser, "/ui/requests"), (own, "/me/requests"), (browser, "/ui/audit")):
        whole = await seen.get(path)
        for limit in (1, 1_000):
            asked = await seen.get(f"{path}?limit={limit}")
            assert asked.status_code == 200
            assert 2 < asked.text.count("<tr") == whole.text.count("<tr") <= 52, path
