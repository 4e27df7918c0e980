"""What identity costs the store: in the steady state nothing beside the scripts that admit and settle a request."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.edge.key_rig import made, with_key
from tests.edge.limits_rig import CONFIG, Instance
from tests.edge.test_refusal_reasons import ISSUERS
from tests.service.outage_rig import PROMPT
from tests.service.token_issuer import SECRET, TokenIssuer
from tests.store.servers import Server, free_ports, running

REQUESTS = 100
# What this test asks the server by a connection of its own.
THE_TESTS_OWN = {"CONFIG", "INFO", "CLIENT", "HELLO"}
Send = Callable[[], Awaitable[httpx.Response]]


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[tuple[Instance, Any]]:
    """One instance with a server of its own, whose commands are all this test's."""
    (tmp_path / "config.yaml").write_text(CONFIG + ISSUERS, encoding="utf-8")
    with running(Server(tmp_path / "store", free_ports(1)[0])) as store:
        one = Instance(store.url, tmp_path, "t:", "one", TOKEN_SECRET=SECRET)
        yield one, store.admin
        await one.close()


async def sender(instance: Instance, credential: str) -> Send:
    """Sends one request by a caller without limits, known by a credential of this kind."""
    body = dict(PROMPT)
    headers: Mapping[str, str] = {}
    user = {"master key with a user": "ann", "virtual key": "kim", "token": "a:bob"}.get(credential)
    if user is not None:
        made_user = await instance.http.post("/user/new", json={"user_id": user, "tier": "open"})
        assert made_user.status_code == 200
    if credential == "master key with a user":
        body["user"] = "ann"
    elif credential == "virtual key":
        key = await made(instance, user_id="kim", rpm_limit=1_000_000, max_budget=1000)
        headers = with_key(key["key"])
    elif credential == "token":
        headers = with_key(TokenIssuer(now_s=int(time.time())).token())

    async def send() -> httpx.Response:
        return await instance.http.post("/v1/chat/completions", json=body, headers=headers)

    return send


def commands(admin: Any) -> dict[str, int]:
    """How often the server was asked what, from outside of scripts."""
    found: dict[str, int] = {}
    for name, figures in admin.info("commandstats").items():
        found[name.removeprefix("cmdstat_")] = int(figures["calls"])
    return found


@pytest.mark.parametrize("credential", ["master key", "master key with a user", "virtual key", "token"])
async def test_a_request_is_one_admission_and_one_settlement_and_nothing_else(
    rig: tuple[Instance, Any], credential: str
) -> None:
    instance, admin = rig
    send = await sender(instance, credential)
    for _ in range(3):
        assert (await send()).status_code == 200
    seen: list[str] = []
    with admin.monitor() as monitor:
        admin.config_resetstat()
        for _ in range(REQUESTS):
            assert (await send()).status_code == 200
        assert commands(admin)["evalsha"] == 2 * REQUESTS
        admin.echo("done")
        for line in monitor.listen():
            if line["command"].startswith("ECHO"):
                break
            if line["client_type"] != "lua":
                seen.append(line["command"].split(" ")[0].upper())
    assert seen.count("EVALSHA") == 2 * REQUESTS
    assert set(seen) - THE_TESTS_OWN == {"EVALSHA"}
