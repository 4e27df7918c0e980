"""From a credential to a caller."""

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Protocol

from scalix.domain.errors import InvalidApiKey
from scalix.domain.identity.addresses import group_of, parse_address
from scalix.domain.identity.published_keys import is_published
from scalix.domain.identity.subjects import Subject
from scalix.domain.identity.user_ids import named_from_outside
from scalix.service.identity.callers import THE_OPERATOR, Caller
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource

NO_KEY = (
    "No API key was given. Send it as 'Authorization: Bearer <key>'. "
    "The operator of this gateway issues keys; see the README for the first request."
)
WRONG_KEY = "The API key is not valid. Check for missing characters, or ask the operator of this gateway for a new one."


class Undecided(Enum):
    """What is said of a credential that can't be judged without asking the store or an issuer."""

    UNDECIDED = auto()


UNDECIDED = Undecided.UNDECIDED


@dataclass(frozen=True, slots=True)
class Credential:
    """What a request shows of its sender: its bearer token, if any, and the address that it comes from. `is_from_here`
    says whether it was sent on this machine."""

    token: str | None
    address: str = ""
    is_from_here: Callable[[], bool] = field(default=lambda: False, compare=False, repr=False)


class CredentialKind(Protocol):
    """One kind of credential: virtual keys, JWTs, addresses."""

    async def caller(self, credential: Credential) -> Caller | None:
        """The caller; `None` if the credential is not of this kind. Raises `InvalidApiKey` for a bad one that is."""
        ...

    def known(self, credential: Credential) -> Caller | Undecided | None:
        """The same by what is known already: `UNDECIDED` where somebody would have to be waited for."""
        ...


class MasterKey:
    """The operator's key. Digests have one length, so a comparison takes as long for every wrong token.

    While it is being changed, `previous` counts beside it; `on_previous` is called with the address of each use. A key
    that everybody can read counts on this machine only; `on_published` is called where it is refused.
    """

    def __init__(
        self,
        master_key: str,
        previous: str | None = None,
        *,
        on_previous: Callable[[str], None] = lambda address: None,
        on_published: Callable[[], None] = lambda: None,
    ) -> None:
        self._digest = _digest(master_key)
        self._previous = _digest(previous) if previous else None
        self._published = {_digest(key) for key in (master_key, previous) if key and is_published(key)}
        self._on_previous = on_previous
        self._on_published = on_published

    async def caller(self, credential: Credential) -> Caller | None:
        return self.known(credential)

    def known(self, credential: Credential) -> Caller | None:
        """See `CredentialKind`."""
        if not credential.token:
            return None
        digest = _digest(credential.token)
        is_previous = self._previous is not None and hmac.compare_digest(digest, self._previous)
        if not is_previous and not hmac.compare_digest(digest, self._digest):
            return None
        if digest in self._published and not credential.is_from_here():
            self._on_published()
            raise InvalidApiKey(WRONG_KEY, reason="key-published")
        if is_previous:
            self._on_previous(credential.address)
        return THE_OPERATOR


class AnonymousCallers:
    """Callers without a credential. A wrong credential never makes a caller anonymous."""

    def __init__(self, policy: PolicySource) -> None:
        self._policy = policy

    def caller(self, credential: Credential) -> Caller:
        """The address as a caller. Raises `InvalidApiKey` with any credential, where that may not be, and where the
        address is not known."""
        if credential.token:
            raise InvalidApiKey(WRONG_KEY, reason="no-kind-of-key")
        policy = self._policy.current
        if policy.anonymous_tier is not None and credential.token is None:
            address = parse_address(credential.address)
            if address is not None:
                tier = policy.tier_or_default(policy.anonymous_tier)
                return Caller(Subject("address", group_of(address)), tier, tier.limits)
        raise InvalidApiKey(NO_KEY, reason="no-key")


class Identity:
    """Tries the kinds of credential in turn, and takes who has none for anonymous, where the config lets it."""

    def __init__(self, kinds: Sequence[CredentialKind], anonymous: AnonymousCallers, users: UserDirectory) -> None:
        self._kinds = tuple(kinds)
        self._anonymous = anonymous
        self._users = users

    async def authenticate(self, credential: Credential) -> Caller:
        """Whose credential this is. Raises `InvalidApiKey`, `StoreUnavailable`."""
        for kind in self._kinds:
            caller = await kind.caller(credential)
            if caller is not None:
                return caller
        return self._anonymous.caller(credential)

    def known(self, credential: Credential) -> Caller | None:
        """As `authenticate`, by what is known already; `None` where it takes a look elsewhere."""
        for kind in self._kinds:
            caller = kind.known(credential)
            if caller is UNDECIDED:
                return None
            if caller is not None:
                return caller
        return self._anonymous.caller(credential)

    def known_charged_caller(self, principal: Caller, body: Mapping[str, Any]) -> Caller | None:
        """As `charged_caller`, by what is known already; `None` where it takes a look elsewhere."""
        user = body.get("user")
        if not principal.may_name_users or user is None:
            return principal
        record = self._users.cached(named_from_outside(user))
        return None if record is None else self._users.caller_of(record)

    async def charged_caller(self, principal: Caller, body: Mapping[str, Any]) -> Caller:
        """Who is charged for a request of `principal`, whose credential it came with: the user that `body` names, where
        the credential may name one. Raises `BadRequest`, `UserBlocked`, `StoreUnavailable`."""
        user = body.get("user")
        if not principal.may_name_users or user is None:
            return principal
        return await self._users.caller(named_from_outside(user))


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
