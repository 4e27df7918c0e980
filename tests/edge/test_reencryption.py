"""The last step of a rotation of the encryption key, over HTTP."""

from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from tests.edge.key_rig import act, info, made
from tests.edge.limits_rig import Instance

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
PATH = "/scalix/v1/secrets/reencrypt"


async def reencrypted(instance: Instance) -> dict[str, Any]:
    """All pages' figures together."""
    total: dict[str, Any] = {"records": 0, "reencrypted": 0, "unreadable": []}
    cursor = None
    while True:
        page = await act(instance, PATH, cursor=cursor)
        for name in total:
            total[name] += page[name]
        cursor = page["next_cursor"]
        if cursor is None:
            return total


async def test_after_it_the_old_key_is_not_needed(store_url: str, key_prefix: str, tmp_path: Path) -> None:
    before = Instance(store_url, tmp_path, key_prefix, "before", SCALIX_ENCRYPTION_KEY=OLD)
    key = await made(before, user_id="alice", metadata={"note": "of the key"})
    await act(before, "/user/update", user_id="alice", metadata={"note": "of the user"})
    await before.close()
    during = Instance(store_url, tmp_path, key_prefix, "during", SCALIX_ENCRYPTION_KEY=f"{NEW},{OLD}")
    assert await reencrypted(during) == {"records": 2, "reencrypted": 2, "unreadable": []}
    assert await reencrypted(during) == {"records": 2, "reencrypted": 0, "unreadable": []}
    entries = (await during.http.get("/scalix/v1/audit", params={"act": "secrets.reencrypt"})).json()["entries"]
    assert len(entries) == 2
    await during.close()
    after = Instance(store_url, tmp_path, key_prefix, "after", SCALIX_ENCRYPTION_KEY=NEW)
    assert (await info(after, key["token"]))["metadata"] == {"note": "of the key"}
    user = (await after.http.get("/user/info", params={"user_id": "alice"})).json()
    assert user["metadata"] == {"note": "of the user"}
    await after.close()


async def test_records_that_can_t_be_read_are_named(store_url: str, key_prefix: str, tmp_path: Path) -> None:
    before = Instance(store_url, tmp_path, key_prefix, "before", SCALIX_ENCRYPTION_KEY=OLD)
    await made(before, metadata={"note": "x"})
    await before.close()
    after = Instance(store_url, tmp_path, key_prefix, "after", SCALIX_ENCRYPTION_KEY=NEW)
    [unreadable] = (await reencrypted(after))["unreadable"]
    assert unreadable.startswith("key:")
    await after.close()


@pytest.mark.parametrize("body", [{"cursor": "300:0"}, {"cursor": "0"}, {"cursor": 1}, {"x": 1}, {"cursor": "0:0:0"}])
async def test_a_wrong_body_is_a_400(store_url: str, key_prefix: str, tmp_path: Path, body: dict[str, Any]) -> None:
    one = Instance(store_url, tmp_path, key_prefix, "one", SCALIX_ENCRYPTION_KEY=NEW)
    answer = await one.http.post(PATH, json=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "invalid_request"
    await one.close()


async def test_without_a_key_there_is_nothing_to_encrypt_with(store_url: str, key_prefix: str, tmp_path: Path) -> None:
    one = Instance(store_url, tmp_path, key_prefix, "one")
    answer = await one.http.post(PATH, json={})
    assert answer.status_code == 400
    assert "SCALIX_ENCRYPTION_KEY" in answer.json()["error"]["message"]
    await one.close()
