"""Callers without a credential, known by where they come from."""

from scalix.domain.identity.addresses import group_of, parse_address
from scalix.domain.identity.subjects import Subject
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Credential
from scalix.service.policy_source import PolicySource


class AnonymousCallers:
    """The `CredentialKind` of no credential at all. A wrong one never makes a caller anonymous."""

    def __init__(self, policy: PolicySource, tier: str) -> None:
        self._policy = policy
        self._tier = tier

    async def caller(self, credential: Credential) -> Caller | None:
        """See `known`: nobody has to be asked."""
        return self.known(credential)

    def known(self, credential: Credential) -> Caller | None:
        """The address as a caller; `None` with any credential, and where the address is not known."""
        address = parse_address(credential.address) if credential.token is None else None
        if address is None:
            return None
        tier = self._policy.current.tier_or_default(self._tier)
        return Caller(Subject("address", group_of(address)), tier, tier.limits)
