"""Virtual keys that may be used from some addresses only."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.edge.gates import Answered, InProcess, in_process

OFFICE, ELSEWHERE, PROXY = "198.51.100.20", "203.0.113.7", "10.0.0.1"
BODY = {"model": "free-small", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, store_url, guard={"trusted_proxies": ["10.0.0.0/8"]}) as made:
        yield made


async def act(edge: InProcess, path: str, **body: Any) -> dict[str, Any]:
    answered = await edge.call(path=path, body=body)
    assert answered.status == 200, answered.body
    return dict(orjson.loads(answered.body))


async def ask(edge: InProcess, key: str, address: str | None, forwarded: str = "") -> Answered:
    headers = [(b"x-forwarded-for", forwarded.encode())] if forwarded else []
    return await edge.call(key=key, address=address, body=BODY, headers=headers)


def code_of(answered: Answered) -> tuple[int, str | None]:
    return answered.status, orjson.loads(answered.body).get("error", {}).get("code")


async def test_a_key_works_from_its_networks_and_from_nowhere_else(edge: InProcess) -> None:
    key = await act(edge, "/key/generate", user_id="ann", allowed_ips=["198.51.100.0/24", "2001:db8:7::/48"])
    assert key["allowed_ips"] == ["198.51.100.0/24", "2001:db8:7::/48"]
    for inside in (OFFICE, "2001:db8:7::5", "::ffff:198.51.100.9"):
        assert code_of(await ask(edge, key["key"], inside)) == (200, None)
    for outside in (ELSEWHERE, "2001:db8:8::5", None):
        assert code_of(await ask(edge, key["key"], outside)) == (403, "ip_blocked")
    models = await edge.call("GET", "/v1/models", key=key["key"], address=ELSEWHERE)
    assert code_of(models) == (403, "ip_blocked")


async def test_a_denied_network_within_an_allowed_one_is_refused(edge: InProcess) -> None:
    key = await act(edge, "/key/generate", allowed_ips=["198.51.100.0/24"], denied_ips=["198.51.100.20"])
    assert key["denied_ips"] == ["198.51.100.20/32"]
    assert code_of(await ask(edge, key["key"], "198.51.100.21")) == (200, None)
    assert code_of(await ask(edge, key["key"], OFFICE)) == (403, "ip_blocked")


async def test_the_clients_address_is_what_a_trusted_proxy_says_and_not_what_the_client_says(edge: InProcess) -> None:
    key = await act(edge, "/key/generate", allowed_ips=[OFFICE])
    assert code_of(await ask(edge, key["key"], PROXY, forwarded=OFFICE)) == (200, None)
    assert code_of(await ask(edge, key["key"], PROXY, forwarded=f"{OFFICE}, {ELSEWHERE}")) == (403, "ip_blocked")
    assert code_of(await ask(edge, key["key"], ELSEWHERE, forwarded=OFFICE)) == (403, "ip_blocked")


async def test_a_change_holds_for_the_next_request_in_both_directions(edge: InProcess) -> None:
    key = await act(edge, "/key/generate")
    assert code_of(await ask(edge, key["key"], ELSEWHERE)) == (200, None)
    await act(edge, "/key/update", key=key["token"], allowed_ips=[OFFICE])
    assert code_of(await ask(edge, key["key"], ELSEWHERE)) == (403, "ip_blocked")
    shown = orjson.loads((await edge.call("GET", "/key/info", query=f"key={key['token']}".encode())).body)
    assert shown["info"]["allowed_ips"] == [f"{OFFICE}/32"]
    await act(edge, "/key/update", key=key["token"], allowed_ips=None)
    assert code_of(await ask(edge, key["key"], ELSEWHERE)) == (200, None)


async def test_from_elsewhere_nothing_is_told_of_a_keys_state(edge: InProcess) -> None:
    key = await act(edge, "/key/generate", allowed_ips=[OFFICE], blocked=True)
    assert code_of(await ask(edge, key["key"], OFFICE)) == (403, "key_blocked")
    assert code_of(await ask(edge, key["key"], ELSEWHERE)) == (403, "ip_blocked")


@pytest.mark.parametrize("name", ["allowed_ips", "denied_ips"])
@pytest.mark.parametrize(
    "value", ["10.0.0.0/8", ["10.0.0.1/8"], ["localhost"], [""], [7], [None], {"a": 1}, ["10.0.0.0/33"], ["::1"] * 101]
)
async def test_what_is_no_list_of_networks_is_one_clear_400(edge: InProcess, name: str, value: Any) -> None:
    answered = await edge.call(path="/key/generate", body={name: value})
    assert answered.status == 400
    assert answered.error["param"] == name
    assert name in answered.error["message"]


async def test_a_refusal_by_address_is_in_the_audit_log_with_key_and_address(edge: InProcess) -> None:
    key = await act(edge, "/key/generate", allowed_ips=[OFFICE])
    await ask(edge, key["key"], ELSEWHERE)
    await edge.core.audit.events.flush()
    page = orjson.loads((await edge.call("GET", "/scalix/v1/audit", query=b"act=identity.refused")).body)
    [entry] = [one for one in page["entries"] if one["details"]["code"] == "ip_blocked"]
    assert (entry["address"], entry["actor"][:4]) == (ELSEWHERE, "key:")
    made = orjson.loads((await edge.call("GET", "/scalix/v1/audit", query=b"act=key.generate")).body)["entries"][0]
    assert made["after"]["allowed_ips"] == [f"{OFFICE}/32"]
