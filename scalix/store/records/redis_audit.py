"""The audit log in Redis or Valkey: one stream, whose entries' ids are their numbers in the chain."""

from collections.abc import Mapping, Sequence

from scalix.domain.ledger.audit_chain import GENESIS, Head, Link
from scalix.store.base import CallRejected
from scalix.store.connection.session import StoreSession


class AuditStore:
    """Keeps the audit log. Every method may raise `StoreUnavailable`."""

    def __init__(self, session: StoreSession) -> None:
        self._session = session
        self._key = session.names.audit_log()

    async def head(self) -> Head:
        """The end of the log."""
        try:
            facts = await self._session.xinfo_stream(self._key)
        except CallRejected as fault:
            if "no such key" in str(fault.__cause__):
                return Head()
            raise
        last = facts.get("last-entry")
        given_seq = _seq(facts["last-generated-id"])
        if not last or last[0] is None:
            return Head(given_seq)
        return Head(given_seq, _seq(last[0]), str(last[1].get("hash", "")))

    async def append(self, head: Head, links: Sequence[Link], *, keep_from: int | None = None) -> bool:
        """Add entries after `head`, all or none; `False` if the log ends with another entry now. `keep_from` removes
        the entries of lesser numbers in the same step."""
        last_hash = head.hash if head.last_seq else ""
        args: list[str | int] = [head.last_seq, last_hash, "" if keep_from is None else keep_from]
        for link in links:
            args += [link.seq, link.text, link.prev, link.hash, link.mac]
        return bool(await self._session.run("audit", [self._key], args))

    async def after(self, seq: int, most: int) -> list[Link]:
        """The oldest entries after the number `seq` (0: of all), oldest first."""
        found = await self._session.xrange(self._key, min=f"({seq}-0" if seq else "-", count=most)
        return [_link(entry, fields) for entry, fields in found]

    async def before(self, seq: int | None, most: int) -> list[Link]:
        """The newest entries before the number `seq` (`None`: of all), newest first."""
        found = await self._session.xrevrange(self._key, max=f"({seq}-0" if seq else "+", count=most)
        return [_link(entry, fields) for entry, fields in found]


def _seq(entry: object) -> int:
    return int(str(entry).partition("-")[0])


def _link(entry: str, fields: Mapping[str, str] | None) -> Link:
    kept = fields or {}
    return Link(_seq(entry), kept.get("text", ""), kept.get("prev", GENESIS), kept.get("hash", ""), kept.get("mac", ""))
