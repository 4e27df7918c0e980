"""A client's own `x-request-id`, over the edge and a real store."""

from pathlib import Path

from scalix.domain.requests.request_ids import told
from tests.edge.limits_rig import Instance


async def test_two_requests_of_one_id_are_both_charged(store_url: str, key_prefix: str, tmp_path: Path) -> None:
    instance = Instance(store_url, tmp_path, key_prefix, "a")
    instance.http.headers["x-request-id"] = "mine-1"
    answers = [await instance.ask("alice") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]  # two an hour
    assert [answer.headers["x-request-id"] for answer in answers] == ["mine-1"] * 3
    events = (await instance.http.get("/scalix/v1/usage/events?user_id=alice")).json()["events"]
    ids = [event["id"] for event in events]
    assert len(set(ids)) == 2
    assert {told(one) for one in ids} == {"mine-1"}
    await instance.close()


async def test_one_that_is_not_sane_is_replaced(store_url: str, key_prefix: str, tmp_path: Path) -> None:
    instance = Instance(store_url, tmp_path, key_prefix, "a")
    instance.http.headers["x-request-id"] = "grace@example.com"
    assert len((await instance.ask("alice")).headers["x-request-id"]) == 32
    await instance.close()
