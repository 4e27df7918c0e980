"""Refusals by what is known already, for a server that asks before it makes a task of a request."""

from scalix.domain.errors import GatewayError, InvalidApiKey
from scalix.domain.requests.routes import Route
from scalix.edge.asgi import Scope, credential_of
from scalix.edge.client_address import ClientAddresses
from scalix.edge.forwarding import Forwarding
from scalix.edge.guard import Guard
from scalix.edge.routes import ENTRIES
from scalix.service.identity.identity import Identity

# Where a scope says whose request it is, once its head has been checked and its credential found right.
HOLDER = "scalix_holder"


class EarlyRefusals:
    """Wrong credentials, and callers who have used a limit up. Whatever takes a look elsewhere, has to wait, or is
    refused for another reason is left to the usual way, which says the same."""

    def __init__(self, identity: Identity, forwarding: Forwarding, *, addresses: ClientAddresses, guard: Guard) -> None:
        self._identity = identity
        self._forwarding = forwarding
        self._addresses = addresses
        self._guard = guard
        targets = {path: methods.get("POST") for path, methods in ENTRIES.items()}
        self._routes = {path: target for path, target in targets.items() if isinstance(target, Route)}
        self.paths = frozenset(self._routes)

    def refusal(self, scope: Scope, body: bytes) -> GatewayError | None:
        """Why a whole request to one of `paths` is refused; `None` if it is not, or not known to be."""
        self._addresses.of(scope)
        try:
            self._guard.check(scope)
            holder = self._identity.known(credential_of(scope))
            if holder is None:
                return None
            scope[HOLDER] = holder
            return self._forwarding.known_refusal(self._routes[scope["path"]], holder, scope, body)
        except InvalidApiKey as refused:
            return refused if self._guard.refused_at_once(scope) else None
        except GatewayError:
            return None
