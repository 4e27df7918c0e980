"""Instances of the gateway in this process, and requests that are written into its ledger without a provider."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.quota import Charge, Outcome, Receipt
from scalix.store.quota.redis_quota import QuotaStore
from tests.edge.limits_rig import Instance

DAY_MS = 86_400_000


async def now_ms(instance: Instance) -> int:
    """The store's time."""
    seconds, microseconds = await instance.core.store.client.time()
    return int(seconds) * 1000 + int(microseconds) // 1000


async def settle(
    instance: Instance,
    user: str,
    *,
    at_ms: int,
    request_id: str | None = None,
    tokens: int = 10,
    cost: int = 1_000,
    charge: int = 1_500,
    outcome: Outcome = Outcome.SUCCESS,
    key_id: str | None = None,
    **detail: Any,
) -> str:
    """One request of `user` that ended. Money is in nano-dollars."""
    store: QuotaStore = instance.core.exchange.settlement._store
    request_id = request_id or secrets.token_hex(8)
    known = {"tier": "free", "model": "free-model", "served": "free-model", "provider": "openai", "latency_ms": 100}
    filled = Detail(
        **{**known, **detail},
        prompt_tokens=tokens - tokens // 2,
        completion_tokens=tokens // 2,
        cost_nano_usd=cost,
        charge_nano_usd=charge,
    )
    receipt = Receipt(request_id, f"user:{user}", at_ms, 5, 10, False, key_id)
    settled = await store.settle(receipt, Charge(outcome, 1, tokens, charge, detail=filled))
    assert settled.status == "settled"
    return request_id


@asynccontextmanager
async def client_of(instance: Instance, token: str | None) -> AsyncIterator[httpx.AsyncClient]:
    """A client with another credential than the operator's."""
    headers = {"authorization": f"Bearer {token}"} if token is not None else {}
    transport: Any = instance.http._transport
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway", headers=headers) as client:
        yield client


async def key_for(instance: Instance, user: str, **fields: Any) -> dict[str, Any]:
    """A new virtual key of `user`."""
    answer = await instance.http.post("/key/generate", json={"user_id": user, **fields})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())
