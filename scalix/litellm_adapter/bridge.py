"""What LiteLLM's hooks reach of the gateway: it imports its callbacks by name, so they find their services here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scalix.service.exchange.admission_control import AdmissionControl
from scalix.service.exchange.exchanges import Exchange, Exchanges
from scalix.service.exchange.settlement import Settlement
from scalix.service.identity.identity import Identity

if TYPE_CHECKING:
    from scalix.litellm_adapter.joining_clients import JoiningClients


@dataclass(frozen=True, slots=True)
class Services:
    """The use cases that hooks call. `under_edge`: the edge admits and settles, hooks only report. Where there is none,
    `check` raises a `GatewayError` for the body of a chat completion that the edge would refuse."""

    identity: Identity
    admission: AdmissionControl
    settlement: Settlement
    exchanges: Exchanges
    under_edge: bool
    check: Callable[[dict[str, Any]], None] = lambda body: None


class Bridge:
    """Holds the services of this process."""

    def __init__(self) -> None:
        self._services: Services | None = None
        self.joining: JoiningClients | None = None

    def install(self, services: Services) -> None:
        """Called once by the wiring, before LiteLLM serves its first request."""
        self._services = services

    @property
    def services(self) -> Services | None:
        """The services, or `None` before the wiring has run."""
        return self._services


bridge = Bridge()
EXCHANGE_ID = "scalix_request_id"
ATTEMPT = "scalix_attempt"
# Without it LiteLLM takes `mock_response` out of a request's body, and asks the provider.
_MAY_MOCK = "allow_client_mock_response"


def marks_of(exchange: Exchange) -> dict[str, object]:
    """By which LiteLLM's events find their exchange, and tell one attempt from the next."""
    marks: dict[str, object] = {EXCHANGE_ID: exchange.admission.request_id, ATTEMPT: exchange.attempt.number}
    return {**marks, _MAY_MOCK: True} if exchange.admission.call.rehearse is not None else marks
