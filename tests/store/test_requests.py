"""Events by time, of one user and of everybody: pages are exact, and what is read does not grow with what there is."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from scalix.domain.identity.subjects import shard_of
from scalix.domain.ledger.ledger import READ_WHOLE, Event
from scalix.domain.limits.calendar import DAY_MS
from scalix.store.ledger.redis_requests import Place, RequestReader, place_of
from scalix.store.privacy.redis_erasure import ErasureStore
from tests.store.counting import commands_of
from tests.store.ledger_rig import TODAY, LedgerRig

HOUR_MS = 3_600_000
NOW, OLDEST_MS = Place((TODAY + 1) * DAY_MS, ""), (TODAY - 10) * DAY_MS


@pytest.fixture
async def rig(store_url: str, key_prefix: str) -> AsyncIterator[LedgerRig]:
    rig = LedgerRig(store_url, key_prefix)
    yield rig
    await rig.close()


async def settled_at(rig: LedgerRig, subject: str, at_ms: int, request_id: str) -> None:
    receipt = await rig.admit(request_id, subject)
    assert (await rig.quotas.settle(replace(receipt, admitted_ms=at_ms), rig.charge())).status == "settled"


async def days_of_traffic(rig: LedgerRig, users: int = 40, requests: int = 300) -> list[tuple[int, str, str]]:
    """Requests of some users over five days, many of them in the same millisecond; newest first."""
    chooser = random.Random(7)
    made = []
    for number in range(requests):
        subject = f"user:u{chooser.randrange(users)}"
        at_ms = (TODAY - chooser.choice((0, 0, 0, 1, 4))) * DAY_MS + chooser.randrange(40) * 1_000
        made.append((at_ms, f"r{number:04d}", subject))
        await settled_at(rig, subject, at_ms, f"r{number:04d}")
    return sorted(made, reverse=True)


async def all_pages(read: Any, most: int) -> list[Event]:
    found: list[Event] = []
    before = NOW
    while page := await read(before, OLDEST_MS, most):
        assert len(page) <= most
        found += page
        before = place_of(page[-1])
    return found


@pytest.mark.parametrize("most", [1, 7, 100, 1_000])
async def test_pages_of_everybody_are_all_events_once_newest_first(rig: LedgerRig, most: int) -> None:
    made = await days_of_traffic(rig, requests=60 if most == 1 else 300)
    found = await all_pages(RequestReader(rig.session).newest, most)
    assert [(one.admitted_ms, one.request_id, one.subject) for one in found] == made


@pytest.mark.parametrize("most", [1, 7, 100, 1_000])
async def test_pages_of_one_user_are_all_their_events_once_newest_first(rig: LedgerRig, most: int) -> None:
    made = await days_of_traffic(rig, users=3, requests=60 if most == 1 else 300)

    async def read(*args: Any) -> list[Event]:
        return await RequestReader(rig.session).newest_of("user:u1", *args)

    found = await all_pages(read, most)
    assert [(one.admitted_ms, one.request_id, one.subject) for one in found] == [m for m in made if m[2] == "user:u1"]


async def test_a_day_of_many_events_is_read_by_its_index_and_one_that_lacks_some_as_a_whole(rig: LedgerRig) -> None:
    subject, most = "user:busy", READ_WHOLE + 40
    for number in range(most):
        await settled_at(rig, subject, TODAY * DAY_MS + number // 3, f"r{number:04d}")
    index = rig.keys.events_in_time(subject, TODAY)
    assert await rig.client.zcard(index) == most
    assert await rig.client.pttl(index) > 0
    reader = RequestReader(rig.session)
    page = await reader.newest_of(subject, NOW, OLDEST_MS, 10)
    assert [one.request_id for one in page] == [f"r{number:04d}" for number in range(most - 1, most - 11, -1)]
    # A gateway of the version before has written one, and has let a day grow.
    for damage in (rig.client.zrem(index, f"r{most - 1:04d}"), rig.client.delete(index)):
        await damage
        assert await reader.newest_of(subject, NOW, OLDEST_MS, 10) == page
    await settled_at(rig, subject, TODAY * DAY_MS + HOUR_MS, "later")
    assert await rig.client.exists(index) == 0
    assert (await reader.newest_of(subject, NOW, OLDEST_MS, 1))[0].request_id == "later"


async def test_what_is_released_archived_or_erased_leaves_the_indexes(rig: LedgerRig) -> None:
    (subject,) = await rig.a_day(users=1)
    shard = rig.keys.in_time(shard_of(subject), TODAY)
    before = await rig.client.zcard(shard)
    await rig.admit("swept", subject, lease_ms=1_000)
    rig.clock.advance(seconds=5)
    await rig.quotas.sweep()
    assert await rig.client.zcard(shard) == before + 1
    assert await rig.quotas.release("swept", subject)
    assert await rig.client.zcard(shard) == before
    assert (await rig.verify()).differences == []


async def test_who_was_erased_by_a_gateway_of_before_leaves_the_indexes_when_erased_once_more(rig: LedgerRig) -> None:
    subject, other = "user:ann [a] b", "user:b"
    for number in range(3):
        await settled_at(rig, subject, TODAY * DAY_MS, f"of-ann-{number}")
        await settled_at(rig, other, TODAY * DAY_MS, f"of-b-{number}")
    # Given events that are gone, and their places are not
    await rig.client.delete(rig.keys.events(subject, TODAY * DAY_MS))
    shards = [rig.keys.in_time(shard_of(one), TODAY) for one in (subject, other)]
    assert [await rig.client.zcard(shard) for shard in shards] == [3, 3]
    await ErasureStore(rig.session, rig.pseudonyms).erase(subject.removeprefix("user:"))
    assert [await rig.client.zcard(shard) for shard in shards] == [0, 3]


async def test_the_places_of_events_that_are_gone_make_a_page_no_shorter(rig: LedgerRig) -> None:
    made = await days_of_traffic(rig, requests=100)
    for at_ms, request_id, subject in made[:40:2]:
        await rig.client.hdel(rig.keys.events(subject, at_ms), request_id)
    page = await RequestReader(rig.session).newest(NOW, OLDEST_MS, 30)
    assert [one.request_id for one in page] == [one[1] for one in [*made[1:40:2], *made[40:]]][:30]


async def test_what_a_page_reads_does_not_grow_with_the_events_that_there_are(rig: LedgerRig) -> None:
    figures = []
    for more in range(4):
        for number in range(300):
            at_ms = TODAY * DAY_MS + more * HOUR_MS + number * 97
            await settled_at(rig, f"user:u{number % 30}" if number % 2 else "user:busy", at_ms, f"r{more}-{number:04d}")
        read = []
        for subject in (None, "user:busy"):
            reader = RequestReader(rig.session)
            asked = (NOW, OLDEST_MS, 50)
            with commands_of(rig.client) as sent:
                page = await (reader.newest(*asked) if subject is None else reader.newest_of(subject, *asked))
            assert len(page) == 50
            words = sum(len(one.answer) if isinstance(one.answer, list | dict) else 1 for one in sent)
            read.append((sum(one.keys for one in sent), words))
        figures.append(read)
    everybodys, busys = zip(*figures[1:], strict=True)
    # Of everybody: two days of 256 shards, some of them again, and the events of one page.
    assert max(keys for keys, _ in everybodys) < 4 * 256
    assert max(answered for _, answered in everybodys) < 1_000
    # Of one user: whether there is anything on each day, and the newest.
    assert len({keys for keys, _ in busys}) == 1
    assert max(answered for _, answered in busys[1:]) < 600
