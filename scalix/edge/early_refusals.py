"""Refusals by what is known already, for a server that asks before it makes a task of a request."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import GatewayError, InvalidApiKey
from scalix.domain.requests.routes import Route
from scalix.edge.asgi import Scope, credential_of, second_token_of
from scalix.edge.forwarding import Forwarding
from scalix.edge.guard import Guard
from scalix.edge.routes import ENTRIES
from scalix.service.identity.identity import Identity

# Where a scope says whose request it is, once its head has been checked and its credential found right.
PRINCIPAL = "scalix_holder"
# Where the server may have put a dict that lasts as long as the connection.
_CONNECTION = "scalix.connection"
_WRONG = "wrong_credential"
# As long as a key that is not known is taken for wrong without another look.
WRONG_FOR_S = 1.0


@dataclass(frozen=True, slots=True)
class _Wrong:
    """The last wrong credential of a connection: the head that it came with, and by which settings it was judged."""

    headers: list[tuple[bytes, bytes]]
    settings: Any
    error: InvalidApiKey
    until_s: float


class EarlyRefusals:
    """Wrong credentials, and callers who have used a limit up. Whatever takes a look elsewhere, has to wait, or is
    refused for another reason is left to the usual way, which says the same. `clock` gives seconds, monotonic."""

    def __init__(
        self,
        identity: Identity,
        forwarding: Forwarding,
        guard: Guard,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._identity = identity
        self._forwarding = forwarding
        self._guard = guard
        self._clock = clock
        targets = {path: methods.get("POST") for path, methods in ENTRIES.items()}
        self._routes = {path: target for path, target in targets.items() if isinstance(target, Route)}
        self.paths = frozenset(self._routes)

    def refusal(self, scope: Scope, body: bytes) -> GatewayError | None:
        """Why a whole request to one of `paths` is refused; `None` if it is not, or not known to be."""
        self._guard.addresses.of(scope)
        wrong = self._wrong_before(scope)
        try:
            if wrong is None:
                self._guard.check(scope)
                if second_token_of(scope) is not None:
                    return None
                principal = self._identity.known(credential_of(scope))
                if principal is None:
                    return None
                scope[PRINCIPAL] = principal
                return self._forwarding.known_refusal(self._routes[scope["path"]], principal, scope, body)
        except InvalidApiKey as refused:
            wrong = refused
            self._remember(scope, refused)
        except GatewayError:
            return None
        return wrong if self._guard.refused_at_once(scope) else None

    def _wrong_before(self, scope: Scope) -> InvalidApiKey | None:
        """What was wrong with the same head on the same connection a moment ago."""
        last: _Wrong | None = scope.get(_CONNECTION, {}).get(_WRONG)
        if last is None or last.headers != scope["headers"] or last.until_s < self._clock():
            return None
        return last.error if last.settings is self._guard.settings else None

    def _remember(self, scope: Scope, error: InvalidApiKey) -> None:
        connection = scope.get(_CONNECTION)
        if connection is not None:
            until_s = self._clock() + WRONG_FOR_S
            connection[_WRONG] = _Wrong(scope["headers"], self._guard.settings, error.anew(), until_s)
