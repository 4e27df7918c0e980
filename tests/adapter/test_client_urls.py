"""Names that clients have looked up: who has a name server that never answers keeps nobody else waiting."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from litellm.litellm_core_utils import url_utils

from scalix.domain.identity.subjects import Subject
from scalix.domain.limits.limits import UNLIMITED
from scalix.litellm_adapter import client_urls
from scalix.litellm_adapter.client_urls import LOOKUP_THREADS, MOST_LOOKUPS_EACH, bound_fetches
from scalix.service.exchange.exchanges import CURRENT
from scalix.service.identity.callers import Caller
from tests.exchanges import made_exchange

SLOW = "slow.example.com"


@pytest.fixture
def answered(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """LiteLLM as it runs under the gateway. Nobody says where `SLOW` is until the event is set."""
    event = threading.Event()

    def getaddrinfo(host: str, port: int, *args: Any, **options: Any) -> list[Any]:
        if host == SLOW:
            event.wait(60)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("93.184.216.34", port))]

    monkeypatch.setattr(url_utils.socket, "getaddrinfo", getaddrinfo)
    for name in ("validate_url", "asyncio"):
        monkeypatch.setattr(url_utils, name, getattr(url_utils, name))
    bound_fetches()
    yield event
    event.set()


class Fetcher:
    async def get(self, url: str, **options: Any) -> Any:
        return SimpleNamespace(is_redirect=False, url=url)


async def fetch(user: str, host: str) -> Any:
    exchange: Any = made_exchange(Caller(Subject("user", user), None, UNLIMITED))
    CURRENT.set(exchange)
    fetcher: Any = Fetcher()
    return await url_utils.async_safe_get(fetcher, f"https://{host}/a.png")


async def test_a_name_server_that_never_answers_keeps_nobody_else_waiting(answered: threading.Event) -> None:
    waiting = [asyncio.create_task(fetch("mallory", SLOW)) for _ in range(3 * LOOKUP_THREADS)]
    await asyncio.sleep(0)
    assert (await asyncio.wait_for(fetch("alice", "example.com"), 10)).url == "https://example.com/a.png"
    # Asyncio's own threads, which look up the providers, are free.
    await asyncio.wait_for(asyncio.gather(*(asyncio.to_thread(int) for _ in range(64))), 10)
    assert not any(task.done() for task in waiting)
    answered.set()
    await asyncio.gather(*waiting)


async def test_a_lookup_that_was_given_up_still_takes_its_turn(
    answered: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_urls, "PATIENCE_S", 0.05)
    for _ in range(MOST_LOOKUPS_EACH + 1):
        with pytest.raises(TimeoutError):
            await fetch("mallory", SLOW)
    with pytest.raises(TimeoutError):
        await fetch("mallory", "example.com")
    assert (await fetch("alice", "example.com")).url
    answered.set()
    monkeypatch.setattr(client_urls, "PATIENCE_S", 30)
    assert (await fetch("mallory", "example.com")).url


async def test_no_name_is_looked_up_where_everybody_would_wait(answered: threading.Event) -> None:
    exchange: Any = made_exchange(Caller(Subject("user", "mallory"), None, UNLIMITED))
    CURRENT.set(exchange)
    client: Any = None
    with pytest.raises(url_utils.SSRFError):
        url_utils.safe_get(client, f"http://{SLOW}/a.png")
    assert exchange.attempt.unfetched == f"http://{SLOW}/a.png"
