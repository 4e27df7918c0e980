"""Rules for the addresses that may call, for the whole gateway or for one key."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from scalix.domain.identity.addresses import NO_NETWORKS, Address, Networks, parse_network


@dataclass(frozen=True, slots=True)
class IpRules:
    """`deny` takes precedence over `allow`; an empty `allow` allows everybody who is not denied."""

    allow: Networks = NO_NETWORKS
    deny: Networks = NO_NETWORKS

    @classmethod
    def parse(cls, allow: Iterable[str] = (), deny: Iterable[str] = ()) -> "IpRules":
        """Rules from networks in CIDR notation. Raises `ValueError` for one that is invalid."""
        return cls(Networks(map(parse_network, allow)), Networks(map(parse_network, deny)))

    def permits(self, address: Address | None) -> bool:
        """Whether requests from `address` are allowed. An unknown address (`None`) is on no list."""
        if address in self.deny:
            return False
        return not self.allow or address in self.allow


ANYBODY = IpRules()


@lru_cache(maxsize=4_096)
def rules_of(allow: tuple[str, ...], deny: tuple[str, ...]) -> IpRules:
    """The same as `IpRules.parse`, cached."""
    return IpRules.parse(allow, deny)
