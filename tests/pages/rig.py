"""A browser without a screen, at instances of the gateway in this process over a real store."""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from html import unescape
from pathlib import Path
from typing import Any, Self

import httpx

from tests.edge.key_rig import made
from tests.edge.limits_rig import Instance
from tests.service.outage_rig import MASTER_KEY

ORIGIN = "http://gateway"
_TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


class Browser:
    """Keeps cookies, follows redirects, and sends forms as a browser does."""

    def __init__(self, instance: Instance, cookies: httpx.Cookies | None = None, **headers: str) -> None:
        transport: Any = instance.http._transport
        self.http = httpx.AsyncClient(
            transport=transport, base_url=ORIGIN, cookies=cookies, follow_redirects=True, headers=headers
        )

    async def get(self, path: str, **options: Any) -> httpx.Response:
        """Look at a page."""
        return await self.http.get(path, **options)

    async def act(
        self,
        page: str,
        action: str | None = None,
        fields: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Open `page`, and send its form to `action` (by default its own path)."""
        token = form_token(await self.get(page))
        sent = {**({"form_token": token} if token else {}), **(fields or {})}
        return await self.http.post(action or page, data=sent, headers={"origin": ORIGIN, **(headers or {})})

    async def sign_in(self, credential: str, path: str) -> Self:
        """As `/ui` or `/me`; to the page that costs least."""
        answer = await self.act(f"{path}/sign-in", fields={"credential": credential, "to": f"{path}/sessions"})
        assert answer.status_code == 200, text_of(answer)
        assert answer.url.path == f"{path}/sessions", text_of(answer)
        return self


def form_token(answer: httpx.Response) -> str:
    """What the forms of a page hold; empty where nobody is signed in."""
    found = _TOKEN.search(answer.text)
    return found[1] if found else ""


def text_of(answer: httpx.Response) -> str:
    """What a page says, without its markup."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", answer.text)).split())


async def operator(instance: Instance) -> Browser:
    """A browser that is signed in as the operator."""
    return await Browser(instance).sign_in(MASTER_KEY, "/ui")


async def user(instance: Instance, user_id: str | None = None, **key: Any) -> Browser:
    """A browser that is signed in as a user, with a new key of theirs."""
    named = {"user_id": user_id} if user_id is not None else {}
    secret = (await made(instance, **named, **key))["key"]
    return await Browser(instance).sign_in(secret, "/me")


@asynccontextmanager
async def instance_at(
    store_url: str, prefix: str, folder: Path, name: str = "one", **more: str
) -> AsyncIterator[Instance]:
    """One instance, until the end of the test."""
    instance = Instance(store_url, folder, prefix, name, **more)
    try:
        yield instance
    finally:
        await instance.close()
