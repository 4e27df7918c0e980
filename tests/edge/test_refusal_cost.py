"""What a refused credential costs, of every kind: a few hundred calls of Python functions at most."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.edge.gates import InProcess, in_process
from tests.edge.work import calls_of
from tests.service.token_issuer import SECRET, TokenIssuer

JWT = {
    "issuers": [
        {"issuer": "https://issuer-a.test", "audience": "scalix", "secret": "${TOKEN_SECRET}", "user_prefix": "a:"}
    ]
}
Ask = Callable[[], Awaitable[int]]
REQUESTS = 50
# 335 to 400 were counted, those of this test's client among them.
MOST_CALLS = 480


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, store_url, guard={"jwt": JWT}, environ={"TOKEN_SECRET": SECRET}) as made:
        yield made


async def key_with(edge: InProcess, **fields: Any) -> str:
    answered = await edge.call(path="/key/generate", body=fields)
    assert answered.status == 200
    return str(orjson.loads(answered.body)["key"])


async def _expired_key(edge: InProcess) -> str:
    key = await key_with(edge, duration="1s")
    edge.core.administration.keys.credentials.now_ms = lambda: time.time_ns() // 1_000_000 + 60_000
    return key


async def _of_a_blocked_user(edge: InProcess) -> str:
    key = await key_with(edge, user_id="bob")
    assert (await edge.call(path="/user/update", body={"user_id": "bob", "blocked": True})).status == 200
    return key


def _token(**claims: Any) -> str:
    return TokenIssuer(now_s=int(time.time())).token(**claims)


async def _text(text: str) -> str:
    return text


KINDS: dict[str, tuple[Callable[[InProcess], Awaitable[str]], int]] = {
    "blocked key": (lambda edge: key_with(edge, blocked=True), 403),
    "key from elsewhere": (lambda edge: key_with(edge, allowed_ips=["10.0.0.0/8"]), 403),
    "expired key": (_expired_key, 401),
    "key of a blocked user": (_of_a_blocked_user, 403),
    "expired token": (lambda edge: _text(_token(exp=int(time.time()) - 900)), 401),
    "token of another audience": (lambda edge: _text(_token(aud="others")), 401),
    "token with a wrong signature": (lambda edge: _text(_token()[:-6] + "AAAAAA"), 401),
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refused_credential_is_little_work(edge: InProcess, kind: str) -> None:
    make, status = KINDS[kind]
    credential = await make(edge)
    body = b'{"model": "free-small", "messages": [{"role": "user", "content": "hi"}]}'

    async def refused(times: int, of: int) -> None:
        for number in range(times):
            # An address of its own for each, so that none is delayed.
            address = f"198.{18 + of}.{number >> 8}.{number & 255}"
            assert (await edge.call(key=credential, body=body, address=address)).status == status

    await refused(20, 0)
    calls = await calls_of(lambda: refused(REQUESTS, 1)) / REQUESTS
    assert calls < MOST_CALLS, calls
