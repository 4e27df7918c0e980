"""Keys are listed by cursor: each once, whatever is made or deleted meanwhile, no record is read but those shown."""

from collections.abc import AsyncIterator

import pytest

from scalix.store.records.redis_key_reading import MOST_IN_ORDER, KeyPlace
from scalix.store.records.redis_keys import KeyStore
from tests.store.counting import commands_of
from tests.store.ledger_rig import LedgerRig
from tests.store.stores import key_of


class Rig(LedgerRig):
    """A store with keys in it."""

    def __init__(self, url: str, prefix: str) -> None:
        super().__init__(url, prefix)
        self.virtual_keys = KeyStore(self.session)


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[Rig]:
    rig = Rig(store_url, key_prefix)
    yield rig
    await rig.close()


@pytest.mark.parametrize("together", [False, True])
async def test_keys_are_listed_by_cursor_whatever_is_deleted_or_made_meanwhile(rig: Rig, together: bool) -> None:
    made = [await rig.virtual_keys.create(key_of("alice", 100))]
    for number in range(1, 30):
        rig.clock.advance(seconds=0 if together and number % 10 else 1)
        made.append(await rig.virtual_keys.create(key_of("alice" if number % 2 else "bob", 100 + number)))
    for user_id in (None, "alice", "bob"):
        ids = list[str]()
        place: KeyPlace | None = None
        pages = 0
        while pages == 0 or place is not None:
            page = await rig.virtual_keys.before(place, 4, user_id)
            ids += [record.key_id for record in page.records]
            place, pages = page.rest, pages + 1
        assert page.total == len(ids) == len(set(ids))
        assert ids == sorted(ids, reverse=True)
    first = await rig.virtual_keys.before(None, 4)
    await rig.virtual_keys.delete(first.records[-1])
    rig.clock.advance(seconds=1)
    await rig.virtual_keys.create(key_of("bob", 200))
    second = await rig.virtual_keys.before(first.rest, 4)
    assert [one.key_id for one in second.records] == [one.key_id for one in reversed(made)][4:8]


async def test_a_page_of_one_users_keys_reads_the_records_that_it_shows(rig: Rig) -> None:
    for number in range(60):
        await rig.virtual_keys.create(key_of("alice", number))
    with commands_of(rig.client) as sent:
        assert len((await rig.virtual_keys.before(None, 5, "alice")).records) == 5
        assert len((await rig.virtual_keys.page(10, 5, "alice"))[1]) == 5
    assert [one.name for one in sent].count("HGETALL") == 10


async def test_of_a_user_with_very_many_keys_a_page_reads_its_own_and_no_more(rig: Rig) -> None:
    keys = rig.virtual_keys
    made = {(await keys.create(key_of("alice", number))).key_id for number in range(MOST_IN_ORDER + 45)}
    ids = list[str]()
    place: KeyPlace | None = None
    while not ids or place is not None:
        with commands_of(rig.client) as sent:
            page = await keys.before(place, 20, "alice")
        read = [one.name for one in sent]
        assert read.count("HGETALL") == len(page.records) <= 20
        assert len(read) <= 26
        assert not {"SMEMBERS", "HGET"} & set(read)
        ids += [record.key_id for record in page.records]
        place = page.rest
    assert page.total == len(made)
    assert sorted(ids) == sorted(made)
