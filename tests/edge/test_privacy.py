"""One person's data through the edge: handed out whole, and erased whole."""

import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.backup import BackupSettings
from scalix.edge.routes import shown_path
from scalix.store.backup.backup_file import BackupReader
from scalix.store.base import StoreUnavailable
from scalix.store.keys import Keys
from scalix.store.ledger.archive_files import ArchiveFiles
from scalix.store.privacy.redis_erasure import Erased, ErasureStore
from tests.edge.key_rig import act, ask, code_of
from tests.edge.limits_rig import TOKENS
from tests.edge.privacy_rig import ODD, Make, a_life, entries, erase, export, instances, path_of, texts_of
from tests.store.backup_rig import contents, parts_of, session_at


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Make]:
    async with instances(store_url, tmp_path, key_prefix) as made:
        yield made


async def test_an_export_has_everything_of_one_user_and_no_secret(make: Make) -> None:
    a = make()
    key = await a_life(a, ODD)
    await a_life(a, "somebody-else")
    found = await export(a, ODD)
    assert (found["user_id"], found["record"]["tier"], found["record"]["metadata"]) == (
        ODD,
        "open",
        {"note": "private"},
    )
    assert found["consent"] == {"usage_details": False}
    assert [(one["key_alias"], one["requests"]) for one in found["keys"]] == [(f"laptop of {ODD}", 2)]
    assert {one["window"]: (one["requests"], one["tokens"]) for one in found["counters"]}["day"] == (2, 2 * TOKENS)
    assert [event["tokens"] for event in found["events"]] == [TOKENS, TOKENS]
    assert {event["key_id"] for event in found["events"]} == {found["keys"][0]["key_id"]}
    assert sum(summary["tokens"] for summary in found["summaries"]) == 2 * TOKENS
    assert found["address_merged_at"] is not None
    acts = [entry["act"] for entry in found["audit"]]
    assert acts == ["user.new", "user.update", "user.merge", "key.generate"]
    assert {entry["object"] for entry in found["audit"][:3]} == {f"user:{ODD}"}
    assert "somebody-else" not in str(found)
    assert key["key"] not in str(found)
    assert (await a.http.get(path_of("nobody", "/export"))).json()["error"]["code"] == "user_not_found"


async def test_a_backup_that_is_begun_during_an_erasure_brings_nobody_back(
    make: Make, store_url: str, key_prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a = make()
    await a_life(a, "alice@example.com")
    parts = parts_of(a.core.store.session, tmp_path)
    at_once = ErasureStore.erase

    async def after_a_backup(erasure: ErasureStore, user_id: str) -> Erased:
        if not parts.place.names():
            await parts.making.create(BackupSettings())
        return await at_once(erasure, user_id)

    monkeypatch.setattr(ErasureStore, "erase", after_a_backup)
    await erase(a, "alice@example.com")
    async with session_at(store_url, f"{key_prefix}2:") as other:
        other_parts = parts_of(other, tmp_path, "other")
        assert "alice" in str(list(BackupReader(tmp_path / "backups" / other_parts.place.chosen(None), ()).lines()))
        # What the store itself notes is copied, as if it had been told beside the backups.
        await other.hset(other.names.erasures(), mapping=await a.core.store.client.hgetall(Keys(key_prefix).erasures()))
        await other.set(
            other.names.pseudonym_key(), str(await a.core.store.client.get(Keys(key_prefix).pseudonym_key()))
        )
        assert (await other_parts.restoring.restore(None)).erased_again == 1
        assert "alice" not in str(await contents(other))


async def test_after_an_erasure_nothing_in_the_store_tells_who_it_was(make: Make, key_prefix: str) -> None:
    a, b = make(), make()
    user = "alice@example.com"
    key = await a_life(a, user)
    await act(b, "/user/update", user_id=user, limits={"requests": {"hour": 1}})
    assert code_of(await ask(b, key["key"])) == (429, "rate_limit_exceeded")
    await act(b, "/key/block", key=key["key"])
    assert (await ask(b, key["key"])).status_code == 403
    await b.core.audit.events.flush()
    keys = await export(a, user)
    key_id, digest = keys["keys"][0]["key_id"], hashlib.sha256(key["key"].encode()).hexdigest()
    signs = [user, hashlib.sha256(user.encode()).hexdigest(), key["key"], digest, key_id, "laptop", "198.51.100.7"]
    before = await texts_of(a, key_prefix)
    assert [sign for sign in signs if sign in before] == [user, digest, key_id, "laptop", "198.51.100.7"]
    answer = await erase(a, user)
    assert answer["erased"] | {"ledger_entries": 0, "audit_names": 0} == {
        "records": 1,
        "keys": 1,
        "requests_in_flight": 0,
        "windows": 3,
        "balances": 0,
        "credits": 0,
        "ledger_entries": 0,
        "sign_ins": 0,
        "file_lines": 0,
        "audit_names": 0,
    }
    assert answer["erased"]["ledger_entries"] >= 3
    assert answer["store_files"] == {"append_only_file": "rewritten", "snapshot": "none"}
    after = await texts_of(a, key_prefix)
    assert [sign for sign in signs if sign in after] == []
    assert code_of(await ask(b, key["key"])) == (401, "invalid_api_key")
    assert (await a.http.get(path_of(user, "/export"))).status_code == 404


async def test_an_erasure_can_be_made_again_and_of_nobody(make: Make, key_prefix: str) -> None:
    a = make()
    await a_life(a, "alice")
    first = await erase(a, "alice")
    again, nobody = await erase(a, "alice"), await erase(a, "nobody-at-all")
    assert first["erased"]["records"] == 1
    for answer in (again, nobody):
        counts = {**answer["erased"], "audit_names": 0}
        assert set(counts.values()) == {0}
    assert "nobody-at-all" not in await texts_of(a, key_prefix)


async def test_use_of_this_month_outlasts_an_erasure(make: Make) -> None:
    a = make()
    await act(a, "/user/new", user_id="alice", tier="free")
    assert [(await a.ask("alice")).status_code for _ in range(3)] == [200, 200, 429]
    await erase(a, "alice")
    assert [(await a.ask("alice")).status_code for _ in range(2)] == [429, 429]
    assert (await a.ask("bob")).status_code == 200


async def test_other_workers_do_not_go_by_what_they_had_cached(make: Make) -> None:
    a, b = make(), make()
    await act(a, "/user/new", user_id="alice", tier="pro")
    assert (await b.ask("alice")).headers["x-scalix-tier"] == "pro"
    await erase(a, "alice")
    assert (await b.ask("alice")).headers["x-scalix-tier"] == "free"
    found = await export(b, "alice")
    assert (found["record"], len(found["events"])) == (None, 1)


@pytest.mark.parametrize("step", ["_erase_keys", "_erase_state", "_write_tombstones", "_book_names"])
async def test_an_erasure_that_broke_off_is_finished_by_the_next(
    make: Make, key_prefix: str, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    a = make()
    user = "alice@example.com"
    key = await a_life(a, user)
    erasure: Any = a.core.private.privacy.stores.erasure
    whole = getattr(erasure, step)

    async def broken(*arguments: Any) -> Any:
        await whole(*arguments)
        raise StoreUnavailable("the store went away")

    with monkeypatch.context() as patched:
        patched.setattr(erasure, step, broken)
        assert (await a.http.delete(path_of(user))).status_code == 503
    acts = [entry["act"] for entry in await entries(a, object=f"user:{user}")]
    assert acts[-2:] == ["user.erase", "user.erase.failed"]
    await erase(a, user)
    after = await texts_of(a, key_prefix)
    assert [sign for sign in (user, key["token"], "laptop") if sign in after] == []


async def test_charges_are_kept_by_day_without_a_name_if_that_is_configured(make: Make, key_prefix: str) -> None:
    a = make()
    a.config.write_text(a.config.read_text("utf-8") + "  privacy: {keep_billing: true}\n", encoding="utf-8")
    a.reload()
    await act(a, "/user/new", user_id="alice", tier="open")
    assert (await a.ask("alice")).status_code == 200
    charged = sum(summary["charge_usd"] for summary in (await export(a, "alice"))["summaries"])
    answer = await erase(a, "alice")
    keys = Keys(key_prefix)
    names = [name async for name in a.core.store.session.names_like("billing:*")]
    assert charged > 0
    assert answer["billing_days_kept"] == len(names) == 1
    assert re.fullmatch(re.escape(keys.kept_billing("")) + r"p-[0-9a-f]{16}", names[0])
    assert sum(map(int, (await a.core.store.client.hgetall(names[0])).values())) == round(charged * 10**9)
    assert await a.core.store.client.pttl(names[0]) > 0


async def test_archived_events_are_handed_out_and_erased(make: Make, tmp_path: Path, key_prefix: str) -> None:
    a = make()
    await act(a, "/user/new", user_id="alice", tier="open")
    assert (await a.ask("alice")).status_code == 200
    (event,) = (await export(a, "alice"))["events"]
    (name,) = [name async for name in a.core.store.session.names_like("*:e:user:alice:*")]
    text = await a.core.store.client.hget(name, event["id"])
    assert text is not None
    files = ArchiveFiles(tmp_path / "worker-0" / "archive")
    archived = {"user:alice": {"archived-1": text}, "user:alicent": {"archived-2": text}}
    with files.draft(20_000, list(archived)) as draft:
        draft.add(archived.items())
        draft.commit()
    assert {one["id"] for one in (await export(a, "alice"))["events"]} == {event["id"], "archived-1"}
    assert (await erase(a, "alice"))["erased"]["file_lines"] == 1
    assert [subject for subject, _ in files.groups(20_000)] == ["user:alicent"]


async def test_paths_name_users_percent_encoded_and_logs_do_not(make: Make) -> None:
    a = make()
    await act(a, "/user/new", user_id=ODD)
    assert (await export(a, ODD))["user_id"] == ODD
    assert code_of(await a.http.delete("/scalix/v1/users/")) == (404, "route_not_found")
    assert code_of(await a.http.delete("/scalix/v1/users/a/b")) == (404, "route_not_found")
    assert code_of(await a.http.delete("/scalix/v1/%75sers/a")) == (404, "route_not_found")
    assert code_of(await a.http.delete("/scalix/v1/users/%FF")) == (400, "invalid_request")
    assert code_of(await a.http.delete("/scalix/v1/users/%00")) == (400, "invalid_request")
    assert code_of(await a.http.get(path_of(ODD))) == (405, "method_not_allowed")
    assert shown_path(f"/scalix/v1/users/{ODD}/export") == "/scalix/v1/users/{user}/export"
    assert shown_path(f"/scalix/v1/users/{ODD}") == "/scalix/v1/users/{user}"


@pytest.mark.parametrize("answer", [None, True, False])
async def test_consent_is_what_the_user_says_else_what_is_configured(make: Make, answer: bool | None) -> None:
    a = make()
    await act(a, "/user/new", user_id="alice", consent={"usage_details": False})
    shown = await act(a, "/user/update", user_id="alice", consent={"usage_details": answer})
    assert shown["consent"] == {"usage_details": answer is not False}
    wrong_ones: list[Any] = [{"usage": True}, {"usage_details": 1}, []]
    for wrong in wrong_ones:
        refused = await a.http.post("/user/update", json={"user_id": "alice", "consent": wrong})
        assert code_of(refused) == (400, "invalid_request")
