"""Virtual keys at instances of the gateway in this process."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import httpx

from tests.edge.limits_rig import Instance
from tests.service.outage_rig import PROMPT


async def made(instance: Instance, **fields: Any) -> dict[str, Any]:
    """A new key, by `POST /key/generate`: of a user of this test's own, unless `user_id` is given."""
    body = {"user_id": f"user-{secrets.token_hex(6)}", **fields}
    answer = await instance.http.post("/key/generate", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def act(instance: Instance, path: str, **body: Any) -> dict[str, Any]:
    """An operator's act that succeeds."""
    answer = await instance.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def info(instance: Instance, token: str) -> dict[str, Any]:
    """What `GET /key/info` says."""
    answer = await instance.http.get("/key/info", params={"key": token})
    assert answer.status_code == 200, answer.text
    return dict(answer.json()["info"])


def with_key(secret: str) -> Mapping[str, str]:
    """The headers of a key's holder."""
    return {"authorization": f"Bearer {secret}"}


async def ask(instance: Instance, secret: str, **changes: Any) -> httpx.Response:
    """One chat completion with a key."""
    return await instance.http.post("/v1/chat/completions", headers=with_key(secret), json={**PROMPT, **changes})


def code_of(answer: httpx.Response) -> tuple[int, str | None]:
    """The status and the error's code."""
    return answer.status_code, answer.json().get("error", {}).get("code")


async def until(holds: Callable[[], bool]) -> None:
    """Wait for it; the test's own time limit ends a wait in vain."""
    while True:
        if holds():
            return
        await asyncio.sleep(0.005)
