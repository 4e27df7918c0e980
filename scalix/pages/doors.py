"""Whether there are pages at all, and from where the operator's open."""

from functools import lru_cache

from scalix.domain.identity.addresses import Networks, parse_network
from scalix.domain.pages import PageSettings
from scalix.edge.asgi import API_PORT, Scope
from scalix.edge.client_address import ClientAddresses
from scalix.service.policy_source import PolicySource


class Doors:
    """Judges by the settings in force, which a reload may change."""

    def __init__(self, policy: PolicySource, addresses: ClientAddresses, *, is_production: bool, api_port: int) -> None:
        self._policy = policy
        self._addresses = addresses
        self._is_production = is_production
        self._api_port = api_port

    @property
    def settings(self) -> PageSettings:
        """What is in force now."""
        return self._policy.current.ui

    def are_alone_at(self, scope: Scope) -> bool:
        """Whether a request has come to the port that has pages alone, which is then noted in `scope`."""
        server = scope.get("server")
        if server is None or server[1] == self._api_port or server[1] != self.settings.own_port:
            return False
        scope[API_PORT] = self._api_port
        return True

    def opens_ui(self, scope: Scope) -> bool:
        """Whether the operator's pages open to where a request comes from, and at the port that it came to."""
        ui = self.settings
        if ui.port and API_PORT not in scope:
            return False
        if ui.allow:
            return self._addresses.is_known(scope) and self._addresses.of(scope) in _networks(ui.allow)
        return not ui.is_closed_in(production=self._is_production)


@lru_cache(maxsize=4)
def _networks(texts: tuple[str, ...]) -> Networks:
    return Networks(map(parse_network, texts))
