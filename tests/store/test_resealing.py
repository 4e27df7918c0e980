"""After a rotation of the encryption key: every user's and every key's metadata under the new one."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from cryptography.fernet import Fernet

from scalix.store.base import UserRecord
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_resealing import START, Reencrypted, ResealingStore
from scalix.store.records.redis_users import UserStore
from scalix.store.records.sealing import Sealing
from tests.store.stores import key_of

OLD, NEW, LOST = (Fernet.generate_key().decode() for _ in range(3))
PRIVATE = {"email": "canary@example.com"}


class Rig:
    """The stores as gateways with different keys see them."""

    def __init__(self, client: Any, prefix: str) -> None:
        self._client, self._keys = client, Keys(prefix)

    def users(self, *keys: str) -> UserStore:
        return UserStore(StoreSession(self._client, self._keys, timeout_ms=5_000), sealing=Sealing(keys))

    def virtual_keys(self, *keys: str) -> KeyStore:
        return KeyStore(StoreSession(self._client, self._keys, timeout_ms=5_000), sealing=Sealing(keys))

    async def resealed(self, *keys: str) -> Reencrypted:
        """All pages as one."""
        store = ResealingStore(StoreSession(self._client, self._keys, timeout_ms=5_000), Sealing(keys))
        cursor: str | None = START
        pages = []
        while cursor is not None:
            pages.append(await store.reseal(cursor))
            cursor = pages[-1].next_cursor
        unreadable = tuple(name for page in pages for name in page.unreadable)
        return Reencrypted(
            sum(page.records for page in pages), sum(page.reencrypted for page in pages), unreadable, None
        )


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    client = connect(store_url, timeout_ms=5_000)
    yield Rig(client, key_prefix)
    await client.aclose()


async def test_every_record_is_encrypted_with_the_first_key_and_means_the_same(rig: Rig) -> None:
    for number in range(600):  # more than a page
        keys = (OLD,) if number % 3 else ()
        await rig.users(*keys).create(UserRecord(f"user-{number}", tier="pro", metadata=PRIVATE))
    for number in range(30):
        made = key_of("owner", number, metadata=PRIVATE, models=("free-*",), allowed_ips=("10.0.0.0/8",))
        await rig.virtual_keys(OLD).create(made)
    before = [await rig.users(OLD).get(f"user-{number}") for number in range(600)]
    keys_before = (await rig.virtual_keys(OLD).page(0, 100))[1]
    assert await rig.resealed(NEW, OLD) == Reencrypted(630, 630, (), None)
    assert [await rig.users(NEW).get(f"user-{number}") for number in range(600)] == before
    assert (await rig.virtual_keys(NEW).page(0, 100))[1] == keys_before
    assert keys_before[0].metadata == PRIVATE
    assert await rig.resealed(NEW) == Reencrypted(630, 0, (), None)


async def test_what_no_key_opens_is_named_and_left_as_it_is(rig: Rig) -> None:
    await rig.users(LOST).create(UserRecord("lost", metadata=PRIVATE))
    await rig.users(OLD).create(UserRecord("found", metadata=PRIVATE))
    made = await rig.virtual_keys(LOST).create(key_of("owner", 1, metadata=PRIVATE))
    assert await rig.resealed(NEW, OLD) == Reencrypted(3, 1, ("user:lost", f"key:{made.key_id}"), None)
    assert (await rig.users(LOST).get("lost")).metadata == PRIVATE
    assert (await rig.users(NEW).get("found")).metadata == PRIVATE
    found = await rig.virtual_keys(LOST).get(made.key_id, "owner")
    assert found is not None
    assert found.metadata == PRIVATE


async def test_a_change_made_meanwhile_is_kept(rig: Rig) -> None:
    users = rig.users(OLD)
    record = await users.create(UserRecord("alice", metadata=PRIVATE))
    name = users._keys.record("user:alice")
    read = await users._session.hget(name, "metadata")
    assert read is not None
    await users.update(record)
    assert await users._session.run("reseal", [name], ["metadata", read, "overwritten"]) == 0
    assert (await users.get("alice")).metadata == PRIVATE


@pytest.mark.parametrize("cursor", ["257:0", "x:0", "0:-1", "", "0"])
async def test_a_cursor_that_is_none_is_refused(rig: Rig, cursor: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        await ResealingStore(StoreSession(rig._client, rig._keys), Sealing([NEW])).reseal(cursor)
