"""Names that the gateway gives are nobody else's: no claim, field or record makes one a user of such a name."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.edge.key_rig import act, ask
from tests.edge.limits_rig import CONFIG, Instance
from tests.service.token_issuer import TokenIssuer

SECRET = "a-secret-of-at-least-thirty-two-bytes"
TOKENS = "  jwt: {issuers: [{issuer: https://id.example, audience: scalix, secret: '${SCALIX_JWT_SECRET}'}]}\n"
RESERVED = ["key:0123456789abcdef", "address:192.0.2.1", "operator:master"]


@pytest.fixture
async def gateway(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    (tmp_path / "config.yaml").write_text(CONFIG + TOKENS, encoding="utf-8")
    instance = Instance(store_url, tmp_path, key_prefix, "a", SCALIX_JWT_SECRET=SECRET)
    yield instance
    await instance.close()


async def test_a_token_of_a_keys_own_user_is_refused(gateway: Instance) -> None:
    made = (await gateway.http.post("/key/generate", json={})).json()
    issuer = TokenIssuer("https://id.example", secret=SECRET, now_s=int(time.time()))
    assert (await ask(gateway, issuer.token(sub="ann"))).status_code == 200
    for name in (made["user_id"], *RESERVED):
        answer = await ask(gateway, issuer.token(sub=name))
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "invalid_api_key")
    assert (await gateway.http.get("/user/info", params={"user_id": made["user_id"]})).status_code == 404


@pytest.mark.parametrize("name", RESERVED)
async def test_no_request_of_the_operators_makes_a_user_of_a_reserved_name(gateway: Instance, name: str) -> None:
    prompt = {"model": "free-model", "messages": [{"role": "user", "content": "hi"}], "user": name}
    bodies: dict[str, dict[str, Any]] = {
        "/v1/chat/completions": prompt,
        "/user/new": {},
        "/key/generate": {},
        "/user/update": {"tier": "pro"},
        "/user/credit": {"amount_usd": 1, "credit_id": "c"},
        "/scalix/v1/merge": {"address": "192.0.2.7"},
    }
    for path, body in bodies.items():
        answer = await gateway.http.post(path, json=body if path.endswith("completions") else {**body, "user_id": name})
        assert answer.status_code == 400, (path, answer.text)
        assert answer.json()["error"]["param"] == ("user" if path.endswith("completions") else "user_id")
    assert (await gateway.http.put("/user/limits", json={"user_id": name, "limits": {}})).status_code == 400
    assert not gateway.provider.served
    assert (await gateway.http.get("/user/info", params={"user_id": name})).status_code == 404


async def test_a_keys_own_user_stays_within_the_operators_reach(gateway: Instance) -> None:
    made = (await gateway.http.post("/key/generate", json={})).json()
    own = made["user_id"]
    await act(gateway, "/user/update", user_id=own, tier="open")
    await act(gateway, "/user/credit", user_id=own, amount_usd=1, credit_id="c")
    assert (await ask(gateway, made["key"])).headers["x-scalix-tier"] == "open"
    assert (await gateway.http.get("/user/info", params={"user_id": own})).json()["tier"] == "open"
    # Whose key is deleted keeps its record, and that can be changed until it is deleted too.
    await act(gateway, "/key/delete", keys=[made["key"]])
    await act(gateway, "/user/update", user_id=own, tier="pro")
    await act(gateway, "/user/delete", user_ids=[own])
    assert (await gateway.http.post("/user/update", json={"user_id": own, "tier": "pro"})).status_code == 400
