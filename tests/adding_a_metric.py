"""What a gateway does that has the unit `images` and the ledger's field `region`.

Run by `test_adding_a_metric.py` in a copy of the package that has them. Arguments: a store's URL, a key prefix, a path.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

from scalix.domain.ledger.ledger import Detail
from scalix.domain.ledger.ledger_lines import event_line, read_line
from scalix.domain.limits.limits import Limit, Limits, Metric, Window
from scalix.domain.limits.quota import Admitted, Charge, Outcome, Receipt, Refused, Tally
from tests.edge.limits_rig import CONFIG, Instance
from tests.edge.privacy_rig import Apart
from tests.service.outage_rig import PROMPT
from tests.store.stores import SUBJECT, Rig, ask, redis_rig, used

IMAGES = list(Metric)[-1]
IMAGE = {"type": "image_url", "image_url": {"url": "https://example.com/one.png"}}


async def on_a_server(rig: Rig) -> None:
    """Reserved, refused, swept, charged, given back, and taken over by an erasure."""
    given = Limits((Limit(IMAGES, Window.HOUR, 3),))
    admitted = await rig.quotas.admit(ask("r1", given, images=2, lease_ms=1_000))
    assert isinstance(admitted, Admitted)
    assert day_of(await rig.quotas.tallies(SUBJECT)) == (0, 2)
    assert isinstance(await rig.quotas.admit(ask("r2", given, images=2)), Refused)
    assert isinstance(await rig.quotas.admit(ask("r3", given)), Admitted)
    await rig.quotas.release("r3", SUBJECT)

    rig.clock.advance(seconds=2)
    assert await rig.quotas.sweep() == 1
    assert day_of(await rig.quotas.tallies(SUBJECT)) == (2, 0)
    swept: Any
    (swept,) = await rig.ledger.events(SUBJECT, rig.clock() // 86_400_000)
    assert (swept.outcome, swept.detail.images, swept.detail.region) == ("swept", 2, "")
    assert (await rig.quotas.settle(admitted.receipt, used(7))).status == "replaced"
    assert day_of(await rig.quotas.tallies(SUBJECT)) == (0, 0)


def day_of(found: tuple[int, dict[Window, Tally]]) -> tuple[int, int]:
    """Images used and held."""
    tally = found[1].get(Window.DAY, Tally())
    return tally.used(IMAGES), tally.held(IMAGES)


async def over_http(instance: Instance) -> None:
    """Limited, refused with its word, told in headers, shown, in the books, reset and erased."""

    async def post(images: int) -> Any:
        content = [{"type": "text", "text": "hi"}, *[IMAGE] * images]
        body = {**PROMPT, "messages": [{"role": "user", "content": content}], "user": "ann"}
        return await instance.http.post("/v1/chat/completions", json=body)

    async def get(path: str) -> Any:
        answer = await instance.http.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    first = await post(2)
    assert first.status_code == 200, first.text
    assert first.headers["x-ratelimit-remaining-images"] == "1"
    assert '"images-hour";r=1' in first.headers["ratelimit"]
    error = (refused := await post(2)).json()["error"]
    assert (refused.status_code, error["code"], error["scalix"]["limit"]) == (429, "rate_limit_exceeded", "images-hour")
    assert error["message"].startswith(
        "You have used 2 of 3 images per hour on the free tier, and this request needs 2."
    )
    assert "needs 4 images, more than the 3 per hour on the free tier. Send fewer." in (await post(4)).text
    assert (await post(0)).status_code == 200

    rows = (await get("/scalix/v1/usage/events?user_id=ann"))["events"]
    assert [(row["images"], row["region"]) for row in rows] == [(0, "eu west"), (2, "eu west")]
    shown = await get("/scalix/v1/users/ann/export")
    assert {(row["images"], row["images_reserved"]) for row in shown["counters"]} == {(2, 0)}
    assert (await get("/scalix/v1/ledger/verify"))["whole"]

    await instance.http.post("/user/reset", json={"user_id": "ann", "windows": ["images-hour"]})
    assert (await get("/scalix/v1/ledger/verify"))["whole"]
    assert (await post(2)).status_code == 200
    assert (await instance.http.delete("/scalix/v1/users/ann")).status_code == 200
    assert "You have used 2 of 3 images per hour" in (await post(2)).text


async def of_before(rig: Rig) -> None:
    """Events that the gateway of before has written; one of now, as a line of an archive."""
    event: Any
    (event,) = await rig.ledger.events("user:old", rig.clock() // 86_400_000)
    assert (event.version, event.detail.images, event.detail.region, event.detail.served) == (4, 0, "", "gpt-4")
    text = "success 1 9 0 0 0 - free m = - 9 0 0 0 0 0 - 0 - - - - - - - 2 eu%20west v5"
    line = event_line("user:old", "r", text)
    assert '"images":2,"region":"eu west"' in line
    assert read_line(line) == ("user:old", "r", text)


async def main(url: str, prefix: str, folder: Path) -> None:
    config = CONFIG.replace("requests: {hour: 2, month: 1000}, tokens: {day: 10000}", "images: {hour: 3}")
    (folder / "config.yaml").write_text(config, encoding="utf-8")
    rig = redis_rig(url, f"{prefix}rig:")
    await on_a_server(rig)
    await rig.close()
    rig = redis_rig(url, prefix)
    await of_before(rig)
    receipt = Receipt("new", "user:new", rig.clock(), 5, 10, False)
    values: dict[str, Any] = {"tier": "free", "model": "gpt-4", "images": 4}
    await rig.quotas.settle(receipt, Charge(Outcome.SUCCESS, 1, 9, 0, detail=Detail(**values)))
    await rig.close()
    instance = Instance(url, folder, f"{prefix}http:", "one")
    instance.http._transport = Apart(instance.http._transport)
    await over_http(instance)
    await instance.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
