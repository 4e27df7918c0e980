"""Metadata at rest: sealed with the first key, opened with all, and left as it is when none opens it."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from cryptography.fernet import Fernet

from scalix.store.base import UserRecord
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_users import UserStore
from scalix.store.records.sealing import CannotOpen, Sealing, encryption_keys

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
Stores = Callable[..., UserStore]
PRIVATE = {"email": "canary@example.com"}


@pytest.fixture
async def stores(store_url: str, key_prefix: str) -> AsyncIterator[Stores]:
    client = connect(store_url, timeout_ms=5_000)
    yield lambda *keys: UserStore(StoreSession(client, Keys(key_prefix), timeout_ms=5_000), sealing=Sealing(keys))
    await client.aclose()


async def kept(stores: Stores, name: str) -> str:
    store = stores()
    fields: dict[str, str] = await store._session.hgetall(store._keys.record(f"user:{name}"))
    return fields["metadata"]


async def test_metadata_is_not_readable_in_the_store(stores: Stores) -> None:
    written = await stores(NEW).create(UserRecord("alice", tier="pro", metadata=PRIVATE))
    assert written.metadata == PRIVATE
    assert "canary" not in await kept(stores, "alice")
    assert (await stores(NEW).get("alice")).metadata == PRIVATE


async def test_without_a_key_metadata_is_kept_as_it_is_and_sealed_when_next_written(stores: Stores) -> None:
    await stores().create(UserRecord("alice", metadata=PRIVATE))
    assert "canary" in await kept(stores, "alice")
    record = await stores(NEW).get("alice")
    assert record.metadata == PRIVATE
    await stores(NEW).update(record)
    assert "canary" not in await kept(stores, "alice")


async def test_all_keys_open_and_the_first_one_seals(stores: Stores) -> None:
    await stores(OLD).create(UserRecord("alice", metadata=PRIVATE))
    record = await stores(NEW, OLD).get("alice")
    assert record.metadata == PRIVATE
    await stores(NEW, OLD).update(record)
    assert (await stores(NEW).get("alice")).metadata == PRIVATE


@pytest.mark.parametrize("keys", [(), (NEW,)])
async def test_a_wrong_key_leaves_the_rest_usable_and_the_sealed_text_as_it_is(
    stores: Stores, keys: tuple[str, ...], caplog: pytest.LogCaptureFixture
) -> None:
    await stores(OLD).create(UserRecord("alice", tier="pro", metadata=PRIVATE))
    before = await kept(stores, "alice")
    store = stores(*keys)
    record = await store.get("alice")
    assert (record.tier, record.metadata, record.sealed_metadata) == ("pro", {}, before)
    await store.update(replace(record, blocked=True))
    assert await kept(stores, "alice") == before
    found = await stores(OLD).get("alice")
    assert (found.blocked, found.metadata) == (True, PRIVATE)
    assert caplog.text.count("metadata of users can't be read") == 1
    assert "SCALIX_ENCRYPTION_KEY" in caplog.text


async def test_metadata_of_one_user_opens_for_no_other(stores: Stores) -> None:
    store = stores(NEW)
    await store.create(UserRecord("alice", metadata=PRIVATE))
    await store.create(UserRecord("mallory"))
    await store._session.hset(store._keys.record("user:mallory"), "metadata", await kept(stores, "alice"))
    assert (await store.get("mallory")).metadata == {}


@pytest.mark.parametrize("text", ["fernet:", "fernet:nonsense", "fernet:" + "A" * 200])
def test_a_damaged_text_is_said(text: str) -> None:
    with pytest.raises(CannotOpen):
        Sealing([NEW]).open("alice", text)
    with pytest.raises(CannotOpen, match="not set"):
        Sealing().open("alice", text)


def test_keys_are_separated_by_commas() -> None:
    assert encryption_keys(f" {NEW}, {OLD} ,") == [NEW, OLD]
    assert encryption_keys(None) == []
    with pytest.raises(ValueError, match="Fernet"):
        Sealing(["short"])


async def test_users_are_listed_by_name_page_by_page(stores: Stores) -> None:
    store = stores(NEW)
    names = sorted(f"user-{number:02}" for number in range(23))
    for name in reversed(names):
        await store.create(UserRecord(name, metadata={"of": name}))
    found = []
    for first in range(0, 30, 5):
        total, records = await store.page(first, 5)
        assert total == 23
        found += records
    assert [record.user_id for record in found] == names
    assert all(record.metadata == {"of": record.user_id} for record in found)
    await store.delete("user-07")
    assert (await store.page(7, 1))[1][0].user_id == "user-08"
    assert (await store.page(0, 1))[0] == 22


async def test_of_very_many_users_every_one_is_on_one_page(store_url: str, key_prefix: str) -> None:
    client = connect(store_url, timeout_ms=5_000)
    store = UserStore(StoreSession(client, Keys(key_prefix), timeout_ms=5_000), most_in_order=10)
    for number in range(40):
        await store.create(UserRecord(f"user-{number}"))
    found = [record.user_id for first in range(0, 42, 7) for record in (await store.page(first, 7))[1]]
    assert sorted(found) == sorted(f"user-{number}" for number in range(40))
    assert await store.page(40, 7) == (40, [])
    await client.aclose()
