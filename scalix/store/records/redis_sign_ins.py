"""Who is signed in to the pages, in Redis or Valkey. Of what a browser holds only the SHA-256 is kept."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from scalix.store.connection.session import SessionStore

_KEY_BYTES = 32
MOST_AT_ONCE = 50
"""Sign-ins of one subject, and codes of links that were not used: of more the oldest ends."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """One browser that is signed in. `subject` is whose pages it sees; `by` says with what (`master`, `key`, `token`,
    `link`), and `credential` which: the key's or token's digest, by which it is judged anew at each view."""

    subject: str
    by: str
    credential: str
    at_ms: int
    ends_ms: int
    address: str = ""

    @property
    def is_operators(self) -> bool:
        """Whether it opens the operator's pages."""
        return self.subject.startswith("operator:")


class SignInStore(SessionStore):
    """Sign-ins and one-time codes, by digest. Every method may raise `StoreUnavailable`."""

    async def key(self) -> bytes:
        """The key that signs cookies, which whoever needs it first makes for all instances."""
        name = self._keys.sign_in_key()
        kept = await self._session.get(name)
        if kept is None:
            own = secrets.token_hex(_KEY_BYTES)
            await self._session.set(name, own, nx=True)
            kept = await self._session.get(name) or own
        return bytes.fromhex(kept)

    async def add(self, digest: str, sign_in: SignIn) -> None:
        """Keep a new one until it ends."""
        await self._put(self._keys.sign_in(digest), sign_in.subject, f"s:{digest}", asdict(sign_in), sign_in)

    async def get(self, digest: str) -> SignIn | None:
        """The one with this digest, if there is one."""
        return _read(await self._session.get(self._keys.sign_in(digest)))

    async def end(self, digest: str, subject: str) -> bool:
        """End one; whether it was there."""
        batch = self._session.batch()
        batch.delete(self._keys.sign_in(digest))
        batch.zrem(self._keys.sign_ins_of(subject), f"s:{digest}")
        ended, _ = await batch.execute()
        return bool(ended)

    async def of(self, subject: str) -> dict[str, SignIn]:
        """All of a subject, by digest."""
        members = await self._session.zrange(self._keys.sign_ins_of(subject), 0, -1)
        digests = [member[2:] for member in members if member[0] == "s"]
        found = await self._session.each("GET", map(self._keys.sign_in, digests))
        read = ((digest, _read(text)) for digest, text in zip(digests, found, strict=True))
        return {digest: sign_in for digest, sign_in in read if sign_in is not None}

    async def end_all(self, subject: str) -> int:
        """End all of a subject, with the codes of links that were not used; how many there were."""
        index = self._keys.sign_ins_of(subject)
        return await self._end(index, await self._session.zrange(index, 0, -1))

    async def add_code(self, digest: str, code: SignIn, to: str) -> None:
        """Keep a one-time code, which leads to the page `to`."""
        await self._put(self._keys.sign_in_code(digest), code.subject, f"c:{digest}", {**asdict(code), "to": to}, code)

    async def take_code(self, digest: str) -> tuple[SignIn, str] | None:
        """The code with this digest, which nobody finds after."""
        text = await self._session.getdel(self._keys.sign_in_code(digest))
        if text is None:
            return None
        fields = orjson.loads(text)
        to = str(fields.pop("to"))
        return SignIn(**fields), to

    async def _put(self, name: str, subject: str, member: str, fields: Mapping[str, Any], until: SignIn) -> None:
        lifetime_ms, index = until.ends_ms - until.at_ms, self._keys.sign_ins_of(subject)
        # The index first: what it does not name would outlive an erasure.
        await self._session.zadd(index, {member: until.at_ms})
        await self._session.pexpire(index, max(lifetime_ms, _INDEX_LIFETIME_MS))
        await self._session.set(name, orjson.dumps(fields), px=max(lifetime_ms, 1))
        members = [one for one in await self._session.zrange(index, 0, -1) if one[0] == member[0]]
        if member not in members:  # ended meanwhile, before it was there
            await self._session.delete(name)
        await self._end(index, members[:-MOST_AT_ONCE])

    async def _end(self, index: str, members: Sequence[str]) -> int:
        """End what the index names; how many were there. Out of the index first: who has just put one in looks there
        after, and ends it if it has gone."""
        if not members:
            return 0
        await self._session.zrem(index, *members)
        return sum(map(int, await self._session.each("DEL", map(self._name_of, members))))

    def _name_of(self, member: str) -> str:
        kind, digest = member.split(":", 1)
        return self._keys.sign_in(digest) if kind == "s" else self._keys.sign_in_code(digest)


_INDEX_LIFETIME_MS = 24 * 3_600_000


def _read(text: str | bytes | None) -> SignIn | None:
    return None if text is None else SignIn(**orjson.loads(text))
