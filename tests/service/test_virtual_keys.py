"""Keys as credentials, with the memory store: what is looked up, and how often."""

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import pytest

from scalix.domain.errors import InvalidApiKey, KeyBlocked
from scalix.domain.identity.key_secrets import digest_of, is_well_formed, secret_of
from scalix.domain.identity.virtual_keys import KeyRecord
from scalix.domain.policy import Model, Policy, Tier
from scalix.service.administration.key_administration import new_secret
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Credential
from scalix.service.identity.users import UserDirectory
from scalix.service.identity.virtual_keys import WRONG_FOR_MS, VirtualKeys
from scalix.service.policy_source import PolicySource
from scalix.store.base import UserRecord
from scalix.store.records.redis_keys import KeyStore
from scalix.store.records.redis_users import UserStore
from tests.store.memory.memory import MemoryStore
from tests.store.memory.memory_keys import MemoryKeyStore
from tests.store.stores import Clock


class Counted(MemoryKeyStore):
    """Counts what is asked of it."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        super().__init__(store, clock)
        self.calls: Counter[str] = Counter()

    async def find(self, digest: str) -> KeyRecord | None:
        self.calls["find"] += 1
        return await super().find(digest)

    async def get(self, key_id: str, user_id: str) -> KeyRecord | None:
        self.calls["get"] += 1
        return await super().get(key_id, user_id)


class Rig:
    def __init__(self, **sizes: int) -> None:
        self.clock = Clock()
        store = MemoryStore(self.clock)
        self.store = Counted(store, self.clock)
        policy = PolicySource(Policy({"free": Tier("free", models=("*",))}, "free", {"a": Model("a", "openai/a")}))
        self.users = UserDirectory(cast(UserStore, store), policy)
        self.keys = VirtualKeys(cast(KeyStore, self.store), self.users, now_ms=self.clock, **sizes)

    async def made(self, number: int = 1, **fields: Any) -> str:
        secret = secret_of(number)
        await self.store.create(KeyRecord(f"k{number}", "alice", digest_of(secret), secret[-4:], **fields))
        return secret

    async def caller(self, secret: str) -> Caller:
        found = await self.keys.caller(Credential(secret))
        assert found is not None
        return found


@pytest.mark.parametrize("bits", [0, 1, 2**256 - 1])
def test_a_secret_has_one_shape_and_a_checksum(bits: int) -> None:
    secret = secret_of(bits)
    assert len(secret) == 59
    assert is_well_formed(secret)
    for place in range(10, 59):
        other = "b" if secret[place] != "b" else "c"
        assert not is_well_formed(secret[:place] + other + secret[place + 1 :])
    for wrong in ("", secret[:-1], secret + "0", secret.upper(), secret.replace("-", "_"), secret[:-1] + "\n"):
        assert not is_well_formed(wrong)


def test_secrets_are_all_different() -> None:
    assert len({new_secret() for _ in range(1_000)}) == 1_000


async def test_what_is_no_virtual_key_is_left_to_others() -> None:
    for token in (None, "", "sk-other", "ey.a.b", "SK-SCALIX-x"):
        assert await Rig().keys.caller(Credential(token)) is None


async def test_a_key_that_was_seen_is_not_looked_up_again() -> None:
    rig = Rig()
    secret = await rig.made()
    for _ in range(100):
        assert str((await rig.caller(secret)).subject) == "user:alice"
    assert rig.store.calls == {"find": 1}


async def test_a_wrong_checksum_costs_no_look_up_and_a_wrong_key_one_a_second() -> None:
    rig = Rig()
    right = secret_of(7)
    for token in (right[:-1] + "!", "sk-scalix-", "sk-scalix-" + "x" * 49, "sk-scalix-\udcff"):
        with pytest.raises(InvalidApiKey):
            await rig.keys.caller(Credential(token))
    assert not rig.store.calls
    for _ in range(50):
        with pytest.raises(InvalidApiKey):
            await rig.keys.caller(Credential(right))
    assert rig.store.calls == {"find": 1}
    await rig.made(7)
    rig.clock.now_ms += WRONG_FOR_MS
    assert (await rig.caller(right)).key


async def test_what_is_remembered_is_bounded() -> None:
    rig = Rig(cached_keys=3, cached_wrong_keys=5)
    secrets = [await rig.made(number) for number in range(6)]
    for secret in secrets:
        await rig.caller(secret)
    for number in range(100, 150):
        with pytest.raises(InvalidApiKey):
            await rig.keys.caller(Credential(secret_of(number)))
    assert (len(rig.keys._records), len(rig.keys._wrong)) == (3, 5)
    rig.store.calls.clear()
    await rig.caller(secrets[-1])
    assert not rig.store.calls
    await rig.caller(secrets[0])
    assert rig.store.calls == {"find": 1}


async def test_rereading_a_caller_is_one_look_up_and_says_what_has_become_of_the_key() -> None:
    rig = Rig()
    secret = await rig.made()
    caller = await rig.caller(secret)
    record = caller.key
    assert record is not None
    assert caller.reread is not None
    rig.store.calls.clear()
    blocked = await rig.store.update(record, replace(record, blocked=True))
    with pytest.raises(KeyBlocked):
        await caller.reread()
    assert rig.store.calls == {"get": 1}
    await rig.store.delete(blocked)
    with pytest.raises(InvalidApiKey):
        await caller.reread()
    with pytest.raises(InvalidApiKey):
        await rig.caller(secret)


async def test_a_block_that_was_lifted_elsewhere_is_seen_at_once() -> None:
    rig = Rig()
    secret = await rig.made(blocked=True)
    with pytest.raises(KeyBlocked):
        await rig.caller(secret)
    record = await rig.store.get("k1", "alice")
    assert record is not None
    await rig.store.update(record, replace(record, blocked=False))
    assert (await rig.caller(secret)).key


async def test_a_key_that_is_new_here_is_not_refused_for_a_block_of_its_user_that_was_lifted_elsewhere() -> None:
    rig = Rig()
    rig.users.remember(UserRecord("alice", blocked=True))
    assert (await rig.caller(await rig.made())).key


async def test_a_key_ends_at_its_time_to_the_millisecond() -> None:
    rig = Rig()
    secret = await rig.made(expires_ms=rig.clock.now_ms + 1_000)
    rig.clock.now_ms += 999
    await rig.caller(secret)
    rig.clock.now_ms += 1
    with pytest.raises(InvalidApiKey, match="expired"):
        await rig.caller(secret)


async def test_a_replaced_secret_works_for_its_time_of_grace() -> None:
    rig = Rig()
    old, new = await rig.made(1), secret_of(2)
    record = (await rig.caller(old)).key
    assert record is not None
    former = {record.digest: rig.clock.now_ms + 1_000}
    await rig.store.update(record, replace(record, digest=digest_of(new), former=former))
    for secret in (old, new):
        caller = await rig.caller(secret)
        assert caller.reread is not None
        assert (await caller.reread()).key
    rig.clock.now_ms += 1_000
    with pytest.raises(InvalidApiKey):
        await rig.caller(old)
    assert (await rig.caller(new)).key


async def test_what_was_written_here_is_forgotten_under_the_replaced_secret_too() -> None:
    rig = Rig()
    old, new = await rig.made(1), secret_of(2)
    record = (await rig.caller(old)).key
    assert record is not None
    former = {record.digest: rig.clock.now_ms + 1_000}
    rig.keys.forget(await rig.store.update(record, replace(record, digest=digest_of(new), former=former)))
    rig.store.calls.clear()
    caller = await rig.caller(old)
    assert caller.key is not None
    assert (caller.key.digest, rig.store.calls) == (digest_of(new), {"find": 1})
