"""One person's data at instances of the gateway in this process."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import Context
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx

from tests.edge.key_rig import act, ask, made
from tests.edge.limits_rig import Instance


class Apart(httpx.AsyncBaseTransport):
    """Runs each request in a task of its own, as a server does: what one was granted of the store's time is not
    another's."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return await asyncio.create_task(self._inner.handle_async_request(request), context=Context())


Make = Callable[..., Instance]


@asynccontextmanager
async def instances(store_url: str, folder: Path, key_prefix: str) -> AsyncIterator[Make]:
    """Makes instances of one store, with variables of their own, and closes them."""
    made: list[Instance] = []

    def make(**environ: str) -> Instance:
        one = Instance(store_url, folder, key_prefix, f"worker-{len(made)}", **environ)
        one.http._transport = Apart(one.http._transport)
        made.append(one)
        return one

    try:
        yield make
    finally:
        for one in made:
            await one.close()


ODD = "ana.maría+x@example.com/ü %2F?#&"


def path_of(user: str, rest: str = "") -> str:
    return f"/scalix/v1/users/{quote(user, safe='')}{rest}"


async def export(instance: Instance, user: str) -> dict[str, Any]:
    answer = await instance.http.get(path_of(user, "/export"))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def erase(instance: Instance, user: str) -> dict[str, Any]:
    answer = await instance.http.delete(path_of(user))
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def texts_of(instance: Instance, prefix: str) -> str:
    """All that the store holds under the prefix, names and values."""
    client = instance.core.store.client
    parts: list[Any] = []
    async for name in instance.core.store.session.names_like("*"):
        parts.append(name)
        match await client.type(name):
            case "hash":
                parts.append(await client.hgetall(name))
            case "zset":
                parts.append(await client.zrange(name, 0, -1))
            case "set":
                parts.append(await client.smembers(name))
            case "stream":
                parts.append(await client.xrange(name))
            case _:
                parts.append(await client.get(name))
    return str(parts)


async def a_life(instance: Instance, user: str) -> dict[str, Any]:
    """A user with everything that a user can have; their key as it was made."""
    await act(instance, "/user/new", user_id=user, auto_create_key=False, tier="open", metadata={"note": "private"})
    await act(instance, "/user/update", user_id=user, consent={"usage_details": False})
    await act(instance, "/scalix/v1/merge", user_id=user, address="198.51.100.7")
    key = await made(instance, user_id=user, key_alias=f"laptop of {user}")
    assert (await ask(instance, key["key"])).status_code == 200
    assert (await ask(instance, key["key"])).status_code == 200
    return key


async def entries(instance: Instance, **query: str) -> list[dict[str, Any]]:
    answer = await instance.http.get("/scalix/v1/audit", params=query)
    return list(reversed(answer.json()["entries"]))
