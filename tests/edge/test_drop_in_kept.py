"""What is kept of requests by second names, wildcards, headers and foreign fields, and that two instances agree."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.edge.key_rig import code_of, until
from tests.edge.privacy_rig import Make, erase, export, instances, path_of
from tests.edge.test_drop_in_without_store import CHAT, CONFIG
from tests.service.outage_rig import PROMPT


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Make]:
    (tmp_path / "config.yaml").write_text(CONFIG, encoding="utf-8")
    async with instances(store_url, tmp_path, key_prefix) as made:
        yield made


async def test_of_a_foreign_request_the_model_that_served_is_kept_and_nothing_that_was_dropped(make: Make) -> None:
    a, b = make(), make()
    body = {**PROMPT, "invented_canary": 1, "client_metadata": {"x": "canary-value"}}
    for model in ("nick", "own/qwen3:8b"):
        answer = await a.http.post(CHAT, json={**body, "model": model}, headers={"X-App-User-Id": "pat"})
        assert answer.headers["x-scalix-dropped"] == "client_metadata, invented_canary"
    found = await export(b, "pat")
    assert sorted(event["model"] for event in found["events"]) == ["free-model", "own/qwen3:8b"]
    assert "canary" not in str(found)
    await erase(b, "pat")
    assert code_of(await a.http.get(path_of("pat", "/export"))) == (404, "user_not_found")


async def test_what_was_counted_at_one_instance_is_used_up_at_the_other(make: Make) -> None:
    a, b = make(), make()
    for one in (a, b):
        one.core.exchange.counting._tokenizer = lambda encoding, text: len(text.split())
    await a.http.post("/user/new", json={"user_id": "pat", "tier": "pro"})
    long = [{"role": "user", "content": "and what do you think of it " * 210}]  # 1,470 words of a day's 2,000 tokens
    a.provider.gate.clear()  # it stays in flight, with its reservation
    first = asyncio.create_task(a.http.post(CHAT, json={**PROMPT, "user": "pat", "messages": long}))
    await until(lambda: bool(a.provider.served))
    second = await b.http.post(CHAT, json={**PROMPT, "user": "pat", "messages": long})
    a.provider.gate.set()
    assert (await first).status_code == 200
    assert code_of(second) == (429, "quota_reserved")
