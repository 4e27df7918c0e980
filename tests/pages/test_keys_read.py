"""What a page asks the store for does not grow with the requests that there are."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from scalix.pages.all_rows import PAGE_ROWS
from scalix.pages.finding import path_to
from scalix.pages.rows import Role
from tests.edge.key_rig import act, made
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, operator, user
from tests.store.servers import Server, free_ports, running

# Requests of one user. Up to 256 of a day are read as a whole.
FEW, MANY, TOGETHER = 260, 200, 20
# The newest come one by one: where a page ends among requests of the same millisecond, a further round is read.
ONE_BY_ONE = 60


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[tuple[Instance, Any]]:
    """One instance with a server of its own, whose commands are all this test's."""
    with running(Server(tmp_path / "store", free_ports(1)[0])) as store:
        one = Instance(store.url, tmp_path, "t:", "one")
        yield one, store.admin
        await one.close()


def paths(role: Role, names: dict[str, str]) -> list[str]:
    found = [row.path for row in PAGE_ROWS if row.method == "GET" and row.role is role]
    for name, value in names.items():
        found = [path_to(path, value) if f"{{{name}}}" in path else path for path in found]
    return found


def asked(admin: Any) -> tuple[int, int]:
    """What the server has been asked for, from within scripts too, and the bytes that it has sent."""
    commands = sum(int(one["calls"]) for name, one in admin.info("commandstats").items() if name != "cmdstat_info")
    return commands, admin.info("stats")["total_net_output_bytes"]


async def looked_at(
    browser: Browser, path: str, admin: Any, headers: Mapping[str, str] | None = None
) -> tuple[int, int]:
    """The same of a page, by the lesser of two views: now and then one learns what the next know, or a job runs."""
    views = []
    for _ in range(2):
        before = asked(admin)
        answer = await browser.get(path, headers=headers)
        assert answer.status_code == 200, path
        after = asked(admin)
        views.append((after[0] - before[0], after[1] - before[1]))
    return min(views)


async def test_no_page_asks_for_more_with_many_requests_than_with_few(rig: tuple[Instance, Any]) -> None:
    instance, admin = rig
    await act(instance, "/user/new", user_id="ann", tier="open")
    key = (await made(instance, user_id="ann"))["token"]
    who = {Role.OPERATOR: await operator(instance), Role.USER: await user(instance, "ann")}

    async def ask(count: int) -> None:
        for _ in range(count // TOGETHER):
            answers = await asyncio.gather(*(instance.ask("ann") for _ in range(TOGETHER)))
            assert {answer.status_code for answer in answers} == {200}
        for _ in range(ONE_BY_ONE):
            assert (await instance.ask("ann")).status_code == 200

    await ask(FEW)
    one = (await instance.http.get("/scalix/v1/requests?limit=1&user_id=ann")).json()["requests"][0]["id"]
    names = {"user": "ann", "key": key, "request": one}
    pages = [(browser, path) for role, browser in who.items() for path in paths(role, names)]
    assert len(pages) > 20
    assert not [path for _, path in pages if "{" in path]
    few = {path: await looked_at(browser, path, admin) for browser, path in pages}
    await ask(MANY)
    many = {path: await looked_at(browser, path, admin) for browser, path in pages}
    assert not {path: (few[path], many[path]) for path in few if _grows(few[path], many[path])}


async def test_what_a_browser_fetches_again_by_itself_asks_for_no_more_than_it_shows(rig: tuple[Instance, Any]) -> None:
    instance, admin = rig
    await act(instance, "/user/new", user_id="ann", tier="open")
    for _ in range(20):
        assert (await instance.ask("ann")).status_code == 200
    who = {Role.OPERATOR: await operator(instance), Role.USER: await user(instance, "ann")}
    rows = [row for row in PAGE_ROWS if row.parts]
    assert len(rows) >= 3
    for row in rows:
        path = path_to(row.path, "ann") if "{user}" in row.path else row.path
        for part in row.parts:
            browser, headers = who[row.role], {"x-scalix-part": part}
            for given in (None, headers):
                assert 'class="tiles"' in (await browser.get(path, headers=given)).text
            commands, sent_bytes = await looked_at(browser, path, admin)
            commands_of_part, bytes_of_part = await looked_at(browser, path, admin, headers)
            assert commands_of_part <= commands, path
            assert bytes_of_part < sent_bytes, path


def _grows(few: tuple[int, int], many: tuple[int, int]) -> bool:
    return many[0] > 1.1 * few[0] + 10 or many[1] > 1.1 * few[1] + 2_000
