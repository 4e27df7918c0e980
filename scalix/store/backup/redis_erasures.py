"""Who was erased and when, by pseudonym: for backups, which may hold them still."""

from collections.abc import Mapping

from scalix.store.keys import ERASURES_LIFETIME_MS
from scalix.store.records.pseudonyms import SubjectStore


class ErasedStore(SubjectStore):
    """Every method may raise `StoreUnavailable`."""

    async def key(self) -> bytes:
        """What pseudonyms are made with."""
        return await self._pseudonyms.agree()

    async def note(self, subject: str) -> None:
        """Note that a subject is erased now."""
        await self.add({await self._pseudonyms.of(subject): await self._session.time_ms()})

    async def add(self, erased: Mapping[str, int]) -> None:
        """Note times by pseudonym."""
        if erased:
            name = self._keys.erasures()
            await self._session.hset(name, mapping={digest: str(at_ms) for digest, at_ms in erased.items()})
            await self._session.pexpire(name, ERASURES_LIFETIME_MS)

    async def all(self) -> dict[str, int]:
        """The times in ms, by pseudonym."""
        return {digest: int(at_ms) for digest, at_ms in (await self._session.hgetall(self._keys.erasures())).items()}

    async def forget_before(self, at_ms: int) -> None:
        """Forget those of which no backup can hold anything."""
        old = [digest for digest, erased_ms in (await self.all()).items() if erased_ms < at_ms]
        if old:
            await self._session.hdel(self._keys.erasures(), *old)
