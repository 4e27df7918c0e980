"""The audit log over a real server: what was tampered with is named, and what retention removes leaves a chain."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from scalix.domain.ledger.audit_chain import GENESIS, MOST_TEXT_CHARS, TRIMMED, Link, Sealer
from scalix.domain.ledger.audit_check import ChainCheck, Report
from scalix.domain.ledger.retention import Retention
from scalix.domain.policy import Policy, Tier
from scalix.service.audit.audit import Act, Actor
from scalix.service.audit.audit_log import AuditLog
from scalix.service.policy_source import PolicySource
from scalix.store.base import StoreUnavailable
from scalix.store.connection.redis_client import connect
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_audit import AuditStore
from tests.store.stores import Clock

KEY, NEXT_KEY = "audit-key-0123456789abcdef0123456789", "next-audit-key-0123456789abcdef01234"
DAY_HOURS = 24


@dataclass
class Trail:
    """An audit log of a test's own."""

    client: Any
    keys: Keys
    clock: Clock
    policy: PolicySource

    @property
    def store(self) -> AuditStore:
        return AuditStore(StoreSession(self.client, self.keys, timeout_ms=5_000))

    @property
    def name(self) -> str:
        return self.keys.audit_log()

    def log(self, *keys: str) -> AuditLog:
        return AuditLog(self.store, Sealer(keys), self.policy, now_ms=self.clock)

    async def acts(self, count: int, *keys: str) -> AuditLog:
        log = self.log(*keys)
        for number in range(count):
            await log.record(act(f"user-{number}"))
        return log

    async def check(self, *keys: str, known: dict[int, str] | None = None, page: int = 3) -> Report:
        check, after = ChainCheck(Sealer(keys), known), 0
        while links := await self.store.after(after, page):
            for link in links:
                check.take(link)
            after = links[-1].seq
        return check.finish((await self.store.head()).given_seq)

    async def rebuild(self, change: Any, *, sealer: Sealer | None = None) -> None:
        """What somebody with the store's password can do: the whole log anew, with links that `change` returns."""
        links = change(await self.store.after(0, 1_000))
        if sealer is not None:
            fresh: list[Link] = []
            for link in links:
                fresh.append(sealer.seal(link.seq, fresh[-1].hash if fresh else GENESIS, link.text))
            links = fresh
        await self.client.delete(self.name)
        for link in links:
            fields = {"text": link.text, "prev": link.prev, "hash": link.hash, "mac": link.mac}
            await self.client.xadd(self.name, fields, id=f"{link.seq}-0")


def act(user: str) -> Act:
    by = Actor("operator:master", "request", "192.0.2.1")
    return Act("user.update", by, user, {"fields": ["tier"]}, before={"tier": "free"}, after={"tier": "pro"})


@pytest.fixture
async def trail(store_url: str, key_prefix: str) -> AsyncIterator[Trail]:
    client = connect(store_url, timeout_ms=5_000)
    tiers = {"free": Tier("free")}
    yield Trail(client, Keys(key_prefix), Clock(), PolicySource(Policy(tiers, "free", retention=Retention(30))))
    await client.aclose()


async def test_a_log_that_was_left_alone_is_whole(trail: Trail) -> None:
    await trail.acts(7)
    report = await trail.check()
    assert (report.findings, report.entries, report.first_seq, report.last_seq, report.keyed) == ((), 7, 1, 7, 0)
    entry = (await trail.store.after(0, 1))[0].entry
    assert entry == {
        "seq": 1,
        "time_ms": trail.clock.now_ms,
        "actor": "operator:master",
        "act": "user.update",
        "object": "user:user-0",
        "address": "192.0.2.1",
        "request_id": "request",
        "before": {"tier": "free"},
        "after": {"tier": "pro"},
        "details": {"fields": ["tier"]},
    }


async def test_an_empty_log_is_whole(trail: Trail) -> None:
    assert (await trail.check()).findings == ()


@pytest.mark.parametrize(
    ("removed", "findings"),
    [
        ([1], ("entry 1 was removed, and not by retention",)),
        ([3], ("entry 3 was removed",)),
        ([3, 4, 6], ("entries 3 to 4 were removed", "entry 6 was removed")),
        ([7], ("entry 7 was removed from the end",)),
        ([6, 7], ("entries 6 to 7 were removed from the end",)),
        (range(1, 8), ("entries 1 to 7 were removed from the end",)),
    ],
)
async def test_removed_entries_are_named(trail: Trail, removed: list[int], findings: tuple[str, ...]) -> None:
    await trail.acts(7)
    await trail.client.xdel(trail.name, *(f"{seq}-0" for seq in removed))
    assert (await trail.check()).findings == findings


async def test_a_removed_end_stays_known_when_the_log_goes_on(trail: Trail, caplog: pytest.LogCaptureFixture) -> None:
    log = await trail.acts(5)
    await trail.client.xdel(trail.name, "4-0", "5-0")
    with caplog.at_level(logging.ERROR):
        await log.record(act("later"))
    assert "the audit log has lost its end: the last entry was 5" in caplog.text
    assert (await trail.check()).findings == ("entries 4 to 5 were removed",)
    assert [link.entry["act"] for link in await trail.store.after(3, 9)] == ["audit.lost", "user.update"]


async def test_a_log_that_was_emptied_is_said_by_whoever_wrote_to_it(trail: Trail) -> None:
    log = await trail.acts(5)
    last = (await trail.store.before(None, 1))[0]
    await trail.client.delete(trail.name)
    await log.record(act("later"))
    first = (await trail.store.after(0, 1))[0].entry
    assert (first["act"], first["details"]) == ("audit.lost", {"last_known_seq": 5, "last_known_hash": last.hash})
    assert (await trail.check(known={5: last.hash})).findings == (
        "entry 5, which you know, is not there: the log was cut or built anew",
    )


async def test_a_changed_entry_is_named(trail: Trail) -> None:
    await trail.acts(5)

    def change(links: list[Link]) -> list[Link]:
        links[2] = replace(links[2], text=links[2].text.replace("user-2", "user-9"))
        return links

    await trail.rebuild(change)
    assert (await trail.check()).findings == ("entry 3 was changed",)


async def test_a_changed_entry_with_a_new_hash_is_named(trail: Trail) -> None:
    await trail.acts(5)

    def change(links: list[Link]) -> list[Link]:
        links[2] = Sealer().seal(3, links[2].prev, links[2].text.replace("user-2", "user-9"))
        return links

    await trail.rebuild(change)
    assert (await trail.check()).findings == ("entry 3 was replaced: entry 4 was written after another one",)


async def test_entries_in_another_order_are_named(trail: Trail) -> None:
    await trail.acts(5)

    def change(links: list[Link]) -> list[Link]:
        links[1], links[2] = replace(links[2], seq=2), replace(links[1], seq=3)
        return links

    await trail.rebuild(change)
    assert (await trail.check()).findings == (
        "in the place of entry 2 stands what was entry 3",
        "in the place of entry 3 stands what was entry 2",
    )


async def test_an_entry_put_in_between_is_named(trail: Trail) -> None:
    await trail.acts(3)
    await trail.client.xadd(trail.name, {"text": "{}", "hash": "0" * 64}, id="3-1")
    await trail.client.xadd(trail.name, {"something": "else"}, id="7-0")
    findings = (await trail.check()).findings
    assert findings[0] == "entry 3 was changed"
    assert "entries 4 to 6 were removed" in findings


async def test_without_a_key_only_what_was_noted_elsewhere_shows_a_log_built_anew(trail: Trail) -> None:
    await trail.acts(4)
    noted = (await trail.store.before(None, 1))[0]
    await trail.rebuild(lambda links: links[:2] + [replace(link, text=links[0].text) for link in links[2:]])
    assert (await trail.check()).findings
    await trail.rebuild(lambda links: links, sealer=Sealer())
    renamed = [link.text.replace("user-", "nobody-") for link in await trail.store.after(0, 9)]
    await trail.rebuild(
        lambda links: [replace(link, text=text) for link, text in zip(links, renamed, strict=True)], sealer=Sealer()
    )
    assert (await trail.check()).findings == ()
    assert (await trail.check(known={noted.seq: noted.hash})).findings == (
        "entry 4 is not the one that you know: the log was built anew",
    )


async def test_with_a_key_a_log_built_anew_without_it_shows(trail: Trail) -> None:
    await trail.acts(4, KEY)
    assert (await trail.check(KEY)).findings == ()
    assert (await trail.check(KEY)).keyed == 4
    await trail.rebuild(lambda links: links, sealer=Sealer())
    assert "entry 4, the last one, is not signed" in (await trail.check(KEY)).findings[0]
    await trail.rebuild(lambda links: links, sealer=Sealer(["a-key-that-somebody-made-up-0123456789"]))
    assert "can't be checked: SCALIX_AUDIT_KEY lacks the key" in (await trail.check(KEY)).findings[0]


async def test_a_plain_entry_after_signed_ones_is_named(trail: Trail) -> None:
    await trail.acts(2, KEY)
    await trail.acts(1)
    await trail.acts(1, KEY)
    assert (await trail.check(KEY)).findings == (
        "entry 3 is not signed, although entries before it are: it was put there",
    )


async def test_keys_can_be_added_and_rotated(trail: Trail) -> None:
    await trail.acts(2)
    await trail.acts(2, KEY)
    await trail.acts(2, NEXT_KEY, KEY)
    assert (await trail.check(NEXT_KEY, KEY)).findings == ()
    assert "2 entries from 3 on can't be checked" in (await trail.check(NEXT_KEY)).findings[0]
    assert "4 entries" not in (await trail.check(NEXT_KEY, KEY)).findings


async def test_entries_written_at_once_by_several_processes_make_one_chain(trail: Trail) -> None:
    logs = [trail.log(KEY) for _ in range(4)]
    await asyncio.gather(*(log.record(act(f"user-{number}")) for number, log in enumerate(logs * 6)))
    report = await trail.check(KEY)
    assert (report.findings, report.entries) == ((), 24)
    objects = {link.entry["object"] for link in await trail.store.after(0, 100)}
    assert objects == {f"user:user-{number}" for number in range(24)}


async def test_a_long_entry_loses_its_details_and_not_its_place(trail: Trail) -> None:
    await trail.log().record(replace(act("alice"), after={"limits": "x" * MOST_TEXT_CHARS}))
    entry = (await trail.store.after(0, 1))[0].entry
    assert entry["details"]["left_out_chars"] > MOST_TEXT_CHARS
    assert (entry["object"], "after" in entry) == ("user:alice", False)
    assert (await trail.check()).findings == ()


async def test_retention_removes_by_age_and_the_rest_is_whole(trail: Trail) -> None:
    log = await trail.acts(4, KEY)
    trail.clock.advance(hours=DAY_HOURS * 20)
    await trail.acts(3, KEY)
    assert await log.trim() == 0
    trail.clock.advance(hours=DAY_HOURS * 11)
    assert await log.trim() == 4
    assert await trail.log(KEY).trim() == 0
    links = await trail.store.after(0, 100)
    assert [link.seq for link in links] == [5, 6, 7, 8]
    assert links[-1].entry["act"] == TRIMMED
    assert links[-1].entry["details"] == {"through_seq": 4, "through_hash": links[0].prev, "entries": 4}
    assert (await trail.check(KEY)).findings == ()
    trail.clock.advance(hours=DAY_HOURS * 40)
    assert await log.trim() == 4
    assert [link.seq for link in await trail.store.after(0, 100)] == [9]
    assert (await trail.check(KEY)).findings == ()
    await trail.acts(2, KEY)
    assert (await trail.check(KEY)).findings == ()


async def test_what_is_removed_beyond_retention_is_named(trail: Trail) -> None:
    log = await trail.acts(4)
    trail.clock.advance(hours=DAY_HOURS * 31)
    await trail.acts(3)
    await log.trim()
    await trail.client.xtrim(trail.name, minid="7-0", approximate=False)
    assert (await trail.check()).findings == ("entries 5 to 6 were removed, and not by retention",)


async def test_many_old_entries_go_in_one_run(trail: Trail) -> None:
    log = trail.log()
    for _ in range(6):
        await log.record_all([act("alice")] * 200)
    trail.clock.advance(hours=DAY_HOURS * 31)
    await log.record(act("bob"))
    assert await log.trim() == 1_200
    assert (await trail.check()).findings == ()


async def test_of_several_that_trim_one_writes_so(trail: Trail) -> None:
    await trail.acts(4)
    trail.clock.advance(hours=DAY_HOURS * 31)
    await asyncio.gather(*(trail.log().trim() for _ in range(4)))
    acts = [link.entry["act"] for link in await trail.store.after(0, 100)]
    assert acts.count(TRIMMED) == len(acts)
    assert (await trail.check()).findings == ()


async def test_an_entry_that_was_damaged_does_not_end_retention(trail: Trail) -> None:
    log = await trail.acts(3)
    await trail.rebuild(lambda links: [links[0], replace(links[1], text="nonsense"), links[2]])
    trail.clock.advance(hours=DAY_HOURS * 31)
    assert await log.trim() == 3


async def test_a_store_that_is_away_is_said_and_nothing_is_written(trail: Trail) -> None:
    log = trail.log()
    log.store = AuditStore(StoreSession(connect("unix:///nonexistent.sock"), trail.keys))
    with pytest.raises(StoreUnavailable):
        await log.record(act("alice"))
    log.store = trail.store
    await log.record(act("bob"))
    assert (await trail.check()).entries == 1


async def test_each_entry_goes_to_the_log_with_its_hash(trail: Trail, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await trail.acts(2)
    link = (await trail.store.before(None, 1))[0]
    (record,) = [record for record in caplog.records if getattr(record, "fields", {}).get("seq") == 2]
    assert record.fields["hash"] == link.hash  # type: ignore[attr-defined]
    assert record.for_programs == link.entry  # type: ignore[attr-defined]
