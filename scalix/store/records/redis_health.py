"""Health checks of deployments in a Redis or Valkey server: whose turn it is, and what the last ones have found."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scalix.domain.health_checks import Checked, Verdict
from scalix.store.connection.session import SessionStore


@dataclass(frozen=True, slots=True)
class Wish:
    """A deployment that is to be checked, and is then taken for `lease_ms`. `soon_ms`: how long after its last check it
    is due at the latest; `first_ms`: how soon if it never was."""

    name: str
    lease_ms: int
    soon_ms: int
    first_ms: int


class HealthStore(SessionStore):
    """The checks of all workers, by the server's time. May raise `StoreUnavailable`."""

    async def take(self, wishes: Sequence[Wish], most: int) -> list[str]:
        """Of the deployments those whose check is due and is this worker's to make, `most` of them."""
        args: list[str | int] = [self._session.now(), most]
        for wish in wishes:
            args += [wish.name, wish.lease_ms, wish.soon_ms, wish.first_ms]
        return [str(name) for name in await self._session.run("take_checks", [self._keys.checks()], args)]

    async def note(
        self, name: str, verdict: Verdict, next_ms: tuple[int, int], keep_ms: int
    ) -> tuple[int, dict[str, Checked]]:
        """Keep what a check has found. The next is due after the first of `next_ms`, or the second if this failed and
        the one before did not. How many checks in a row had failed before, and the last checks of all."""
        args: list[str | int] = [self._session.now(), name, int(verdict.is_failing), verdict.reason, *next_ms, keep_ms]
        before, found = await self._session.run("note_check", [self._keys.checks()], args)
        return int(before), _checked(dict(zip(found[::2], found[1::2], strict=True)))

    async def all(self) -> dict[str, Checked]:
        """The last checks of all that were ever checked, by name."""
        return _checked(await self._session.hgetall(self._keys.checks()))


def _checked(found: Mapping[str, str]) -> dict[str, Checked]:
    checked = {}
    for name, value in found.items():
        _, _, fails, at_ms, reason = str(value).split(" ", 4)
        if int(at_ms):
            checked[str(name)] = Checked(str(name), int(fails), int(at_ms), reason)
    return checked
