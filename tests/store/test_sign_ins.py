"""Who is signed in, over a real server, while many sign in at once: what the store has is what its index names."""

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256

import pytest

from scalix.store.connection.session import StoreSession
from scalix.store.records.redis_sign_ins import MOST_AT_ONCE, SignIn, SignInStore
from tests.store.stores import redis_rig

ANN = "user:ann"


@pytest.fixture
async def session(store_url: str, key_prefix: str) -> AsyncIterator[StoreSession]:
    rig = redis_rig(store_url, key_prefix)
    yield rig.session
    await rig.close()


async def signed_in_at_once(session: StoreSession, number: int) -> None:
    """So many browsers, each by an instance of its own."""
    added = [
        SignInStore(session).add(sha256(b"%d" % at).hexdigest(), SignIn(ANN, "link", "", 1_000 + at, 60_001_000))
        for at in range(number)
    ]
    await asyncio.gather(*added)


async def kept(session: StoreSession) -> int:
    return len([name async for name in session.names_like("*sign-in:*")])


async def test_of_many_who_sign_in_at_once_none_is_signed_in_that_no_list_names(session: StoreSession) -> None:
    await signed_in_at_once(session, 3 * MOST_AT_ONCE)
    named = await SignInStore(session).of(ANN)
    assert len(named) == await kept(session) <= MOST_AT_ONCE
    assert min(one.at_ms for one in named.values()) == 1_000 + 2 * MOST_AT_ONCE  # the newest
    assert await SignInStore(session).end_all(ANN) == MOST_AT_ONCE
    assert await kept(session) == 0


async def test_who_signs_in_while_all_are_ended_is_ended_too_or_in_the_list(session: StoreSession) -> None:
    for _ in range(10):
        await asyncio.gather(signed_in_at_once(session, 40), *(SignInStore(session).end_all(ANN) for _ in range(5)))
        assert len(await SignInStore(session).of(ANN)) == await kept(session)
