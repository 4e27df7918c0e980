"""The owner's page: its figures are those of the report."""

from scalix.pages.formats import number, percent, usd
from tests.edge.key_rig import act
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, text_of


async def test_its_figures_are_those_of_the_report(instance: Instance, browser: Browser) -> None:
    await act(instance, "/user/new", user_id="paul", tier="pro")
    for name, times in (("ann", 3), ("bob", 1), ("paul", 2)):
        for _ in range(times):
            await instance.ask(name)
    report = (await instance.http.get("/scalix/v1/reports/today")).json()
    day = report["day"]
    assert (day["active_users"], day["limited_users"], day["requests"]) == (3, 1, 5)
    told = text_of(await browser.get("/ui"))
    for label, shown in (
        ("Active users", number(day["active_users"])),
        ("New users", number(day["new_users"])),
        ("Ran into a limit", number(day["limited_users"])),
        ("Requests", number(day["requests"])),
        ("Charged", usd(day["charge_usd"])),
        ("Cost", usd(day["provider_cost_usd"])),
        ("Margin", usd(day["margin_usd"])),
        ("Error rate", percent(day["error_rate"])),
    ):
        assert f"{label} {shown}" in told
    tiers = told.partition("The day by tier")[2]
    for tier in day["tiers"]:
        cells = [tier["tier"], *(number(tier[name]) for name in ("active_users", "new_users", "requests", "tokens"))]
        assert " ".join([*cells, usd(tier["provider_cost_usd"]), usd(tier["charge_usd"])]) in tiers
    assert report["limit_hits"]
    for hit in report["limit_hits"]:
        assert f"{hit['limit']} {hit['users']}" in told


async def test_another_day_is_a_link_away_and_a_wrong_one_is_told(instance: Instance, browser: Browser) -> None:
    await instance.ask("ann")
    first = await browser.get("/ui")
    assert 'rel="prev"' in first.text
    assert 'rel="next"' not in first.text
    before = (await instance.http.get("/scalix/v1/reports/today")).json()["series"][-2]["date"]
    past = await browser.get(f"/ui?day={before}")
    assert 'rel="next"' in past.text
    assert "Active users 0" in text_of(past)
    assert (await browser.get("/ui?day=yesterday")).status_code == 400
