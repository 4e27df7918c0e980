"""Ids of what a provider keeps are given out with a tag, and taken from those only to whom they were given."""

import hmac
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from scalix.domain.errors import ObjectNotFound
from scalix.domain.identity.subjects import Subject
from scalix.domain.requests.object_ids import bound, places, unbound
from scalix.service.identity.callers import Caller
from scalix.store.base import StoreUnavailable

_PURPOSE = b"ids of what a provider keeps"
log = logging.getLogger("scalix.ids")


class Secret(Protocol):
    """Random bytes that the store keeps: the same for all who have that store."""

    @property
    def known_key(self) -> bytes | None:
        """The bytes, if this process has read them."""
        ...

    async def key(self) -> bytes:
        """The bytes. Raises `StoreUnavailable`."""
        ...


@dataclass(slots=True, eq=False)
class NamedObjects:
    """What a request names that a provider keeps. The body has the provider's own ids from then on.

    `any`: whether it goes by ids that one provider alone knows; `ids`: whether it has any at all. `foreign`: where the
    first one is that the caller was not given; those which need not be there are left out instead, once it is known
    that the caller may not use them.
    """

    any: bool = False
    ids: bool = False
    foreign: str | None = None
    _optional: list[Any] = field(default_factory=list)

    def are_refused(self, caller: Caller) -> bool:
        """Whether `check` would raise."""
        return self.foreign is not None and not may_use_all(caller)

    def check(self, caller: Caller) -> None:
        """Leave out what the caller was not given and can do without. Raises `ObjectNotFound` for the rest."""
        if may_use_all(caller):
            return
        for holder in self._optional:
            holder.pop("id", None)
        if self.foreign is not None:
            message = (
                f"'{self.foreign}' is no id that was given to you here. Ids of answers, their items, conversations, "
                "files and containers, and encrypted reasoning, are taken only from the user who got them in an answer "
                "of this gateway, exactly as they were in it. Send the content itself instead."
            )
            raise ObjectNotFound(message, param=self.foreign)


def may_use_all(caller: Caller) -> bool:
    """Whether the caller may name what others were given, and what the operator keeps at a provider."""
    return caller.tier is None or caller.tier.allow_foreign_ids


NOTHING = NamedObjects()


class ObjectIds:
    """Takes and gives ids. `secret` is kept by the store, so that a tag holds at every instance and after a restart.
    `original` makes the provider's id of what an answer had in its place."""

    def __init__(self, secret: Secret, original: Callable[[str], str] = str) -> None:
        self._secret = secret
        self._original = original

    async def ready(self) -> None:
        """Have the key, for answers that begin before a request has needed it. Does nothing while the store is away."""
        if self._secret.known_key is None:
            try:
                await self._secret.key()
            except StoreUnavailable as fault:
                log.debug("ids are given out without a tag for now: %s", fault)

    async def taken(self, subject: Subject, body: dict[str, Any]) -> NamedObjects:
        """Put the provider's own ids into a request's body. Raises `StoreUnavailable` if there are some and the key has
        never been read."""
        named = NamedObjects()
        key = b""
        for place in list(places(body)):
            key = key or _derived(self._secret.known_key or await self._secret.key())
            path = place.path
            text, is_own = unbound(key, str(subject), place.text)
            place.holder[place.name] = self._original(text)
            if not is_own and place.is_optional:
                named._optional.append(place.holder)
            elif not is_own:
                named.foreign = named.foreign or path
            named.any = named.any or not (place.is_optional or place.is_encrypted)
            named.ids = True
        return named

    def giver(self, subject: Subject) -> Callable[[str], str] | None:
        """Makes of a provider's id the one for `subject`; `None` while the key is not known. What is given without a
        tag is taken from nobody."""
        secret, name = self._secret.known_key, str(subject)
        if secret is None:
            return None
        key = _derived(secret)
        return lambda text: bound(key, name, text)


def _derived(secret: bytes) -> bytes:
    # What else the secret is for must not be told by a tag.
    return hmac.digest(secret, _PURPOSE, "sha256")
