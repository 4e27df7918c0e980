"""Cooldowns of models in a Redis or Valkey server."""

from dataclasses import dataclass
from hashlib import blake2b

from scalix.store.connection.session import SessionStore

_OF_FAILURES = b"failures of models"


@dataclass(frozen=True, slots=True)
class Cooling:
    """A model whose cooldown lasts `rest_ms` more. `asked_for`: its provider has said for how long."""

    model: str
    rest_ms: int
    asked_for: bool


class CooldownStore(SessionStore):
    """Cooldowns of models, by the server's time. Every method may raise `StoreUnavailable`."""

    async def cool(self, model: str, for_ms: int, *, asked_for: bool) -> None:
        """Begin a cooldown of `model`, for `for_ms` from now or for longer if that is known; 0 ends it."""
        await self._session.run("cool", [self._keys.cooldowns()], [model, for_ms, int(asked_for)])

    async def count_failure(self, model: str, subject: str, *, within_ms: int, failures: int) -> bool:
        """Count a failed request of `subject`. Whether there have been `failures` in a row within `within_ms`, of more
        than one subject: they are forgotten then."""
        # What is kept names nobody, not even for half a minute.
        digest = blake2b(subject.encode("utf-8", "surrogatepass"), digest_size=8, key=_OF_FAILURES).hexdigest()
        args: list[str | int] = [model, digest, within_ms, failures]
        return bool(await self._session.run("count_failure", [self._keys.failures()], args))

    async def forget_failures(self, model: str) -> None:
        """The model has answered: its failures are no row any more."""
        await self._session.hdel(self._keys.failures(), model)

    async def cooling(self) -> tuple[list[Cooling], set[str]]:
        """The models in cooldown now, and those whose failures are counted."""
        names = [self._keys.cooldowns(), self._keys.failures()]
        found, failing = await self._session.run("cooling", names, [])
        resting = [
            Cooling(str(model), int(rest_ms), str(asked_for) == "1")
            for model, rest_ms, asked_for in zip(found[::3], found[1::3], found[2::3], strict=True)
        ]
        return resting, set(map(str, failing))
