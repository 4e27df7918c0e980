"""Views and reads that no quota counts: those of one caller wait for each other, and none outlasts its client."""

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scalix.edge.asgi import Message
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, instance_at, operator, text_of, user
from tests.pages.test_keys_read import asked
from tests.store.servers import Server, free_ports, running


def who_leaves(instance: Instance, sent: list[Message]) -> None:
    """Have clients of an instance be gone as soon as they have asked."""
    transport: Any = instance.http._transport
    app = transport.app

    async def left(scope: Any, receive: Any, send: Any) -> None:
        body = [{"type": "http.request", "body": b"", "more_body": False}]

        async def gone() -> Message:
            return body.pop() if body else {"type": "http.disconnect"}

        async def note(message: Message) -> None:
            sent.append(message)

        await app(scope, gone, note)
        await send({"type": "http.response.start", "status": 499, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    transport.app = left


@pytest.mark.parametrize(
    "path", ["/ui", "/ui/users/ann", "/ui/requests", "/ui/limits", "/scalix/v1/reports/day", "/scalix/v1/requests"]
)
async def test_a_view_whose_client_has_gone_asks_the_store_for_no_more(path: str, tmp_path: Path) -> None:
    with running(Server(tmp_path / "store", free_ports(1)[0])) as store:
        async with instance_at(store.url, "t:", tmp_path) as instance:
            await instance.ask("ann")
            http = (await operator(instance)).http if path.startswith("/ui") else instance.http
            assert (await http.get(path)).status_code == 200
            before = asked(store.admin)[0]
            assert (await http.get(path)).status_code == 200
            whole = asked(store.admin)[0] - before
            sent = list[Message]()
            who_leaves(instance, sent)
            assert (await http.get(path)).status_code == 499
            await instance.core.store.client.ping()  # what was asked before has been answered then
            begun = asked(store.admin)[0] - before - whole
            assert begun < whole / 2, (begun, whole)
            assert not sent


async def test_many_views_at_once_of_one_browser_are_refused_and_keep_nobody_waiting(
    instance: Instance, browser: Browser
) -> None:
    ann = await user(instance, "ann")
    views = [asyncio.create_task(browser.get("/ui/requests")) for _ in range(60)]
    await asyncio.sleep(0)
    assert (await ann.get("/me")).status_code == 200
    answers = await asyncio.gather(*views)
    statuses = Counter(answer.status_code for answer in answers)
    assert set(statuses) == {200, 503}
    assert statuses[200] < 30
    refused = next(answer for answer in answers if answer.status_code == 503)
    assert "6 of your pages are being answered. Try again in 2 seconds." in text_of(refused)
    assert refused.headers["retry-after"] == "2"
    assert (await browser.get("/ui/requests")).status_code == 200
