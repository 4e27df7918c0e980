"""The audit log in Redis or Valkey: one stream, whose entries' ids are their numbers in the chain."""

from collections.abc import Mapping, Sequence
from typing import Any

from redis.exceptions import ResponseError

from scalix.domain.ledger.audit_chain import GENESIS, Head, Link
from scalix.store.connection import scripts
from scalix.store.connection.redis_client import CALL_TIMEOUT_MS, in_time
from scalix.store.keys import Keys


class RedisAuditStore:
    """An `AuditStore` over one server or cluster."""

    def __init__(self, client: Any, keys: Keys, *, timeout_ms: int = CALL_TIMEOUT_MS) -> None:
        self._client = client
        self._key = keys.audit_log()
        self._timeout_ms = timeout_ms

    async def head(self) -> Head:
        async with in_time(self._timeout_ms):
            try:
                facts = await self._client.xinfo_stream(self._key)
            except ResponseError as error:
                if "no such key" in str(error):
                    return Head()
                raise
        last = facts.get("last-entry")
        given_seq = _seq(facts["last-generated-id"])
        if not last or last[0] is None:
            return Head(given_seq)
        return Head(given_seq, _seq(last[0]), str(last[1].get("hash", "")))

    async def append(self, head: Head, links: Sequence[Link], *, keep_from: int | None = None) -> bool:
        last_hash = head.hash if head.last_seq else ""
        args: list[str | int] = [head.last_seq, last_hash, "" if keep_from is None else keep_from]
        for link in links:
            args += [link.seq, link.text, link.prev, link.hash, link.mac]
        async with in_time(self._timeout_ms):
            return bool(await scripts.run(self._client, "audit", [self._key], args))

    async def after(self, seq: int, most: int) -> list[Link]:
        async with in_time(self._timeout_ms):
            found = await self._client.xrange(self._key, min=f"({seq}-0" if seq else "-", count=most)
        return [_link(entry, fields) for entry, fields in found]

    async def before(self, seq: int | None, most: int) -> list[Link]:
        async with in_time(self._timeout_ms):
            found = await self._client.xrevrange(self._key, max=f"({seq}-0" if seq else "+", count=most)
        return [_link(entry, fields) for entry, fields in found]


def _seq(entry: object) -> int:
    return int(str(entry).partition("-")[0])


def _link(entry: str, fields: Mapping[str, str] | None) -> Link:
    kept = fields or {}
    return Link(_seq(entry), kept.get("text", ""), kept.get("prev", GENESIS), kept.get("hash", ""), kept.get("mac", ""))
