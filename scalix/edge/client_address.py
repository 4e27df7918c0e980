"""Where a request comes from, as one decision for everything that counts or judges by address."""

from collections.abc import Iterable

from scalix.domain.identity.addresses import (
    Address,
    Network,
    Networks,
    client_address,
    is_relayed,
    parse_address,
)
from scalix.edge.asgi import CLIENT_ADDRESS, VIA_TRUSTED, Scope

_FORWARDED_FOR = b"x-forwarded-for"


class ClientAddresses:
    """Reads clients' addresses. `trusted_proxies`: the peers whose `X-Forwarded-…` headers count."""

    def __init__(self, trusted_proxies: Iterable[Network] = ()) -> None:
        self.trust_only(trusted_proxies)

    def trust_only(self, proxies: Iterable[Network]) -> None:
        """Believe these from now on, and no others. May be called by another thread."""
        self._trusted = Networks(proxies)

    def of(self, scope: Scope) -> Address | None:
        """The sender of a request; `None` where the server does not know it (a Unix socket). Found once per request,
        and noted in the scope for `credential_of`."""
        if CLIENT_ADDRESS not in scope:
            scope[CLIENT_ADDRESS] = self._find(scope)
        found: Address | None = scope[CLIENT_ADDRESS]
        return found

    def is_known(self, scope: Scope) -> bool:
        """Whether `of` is the sender's own address: not where a proxy that nobody has named has passed a request on."""
        is_direct = not is_relayed(scope["headers"], scope.get("http_version", "1.1"))
        return is_direct or self.is_trusted(peer_of(scope))

    def is_trusted(self, address: Address | None) -> bool:
        """Whether `address` is a trusted proxy's."""
        return address in self._trusted

    def _find(self, scope: Scope) -> Address | None:
        peer = peer_of(scope)
        if peer not in self._trusted:
            return peer
        scope[VIA_TRUSTED] = True
        lines = [value.decode("latin-1") for name, value in scope["headers"] if name == _FORWARDED_FOR]
        return client_address(peer, ",".join(lines).split(",") if lines else [], self._trusted)


def peer_of(scope: Scope) -> Address | None:
    """The other end of the socket: the client, or the last proxy before us."""
    client = scope.get("client")
    return parse_address(client[0]) if client else None
