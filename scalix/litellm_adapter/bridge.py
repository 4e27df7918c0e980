"""What LiteLLM's hooks reach of the gateway: it imports its callbacks by name, so they find their services here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from scalix.service.answers.pressure import Pressure
from scalix.service.exchange.admission_control import AdmissionControl
from scalix.service.exchange.exchanges import Exchange, Exchanges
from scalix.service.exchange.settlement import Settlement
from scalix.service.identity.identity import Identity


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


@dataclass(slots=True)
class Bridge:
    """What this process has for LiteLLM: the wiring puts it there before the first request. With `pressure`, deltas of
    streams are joined."""

    services: Services | None = None
    pressure: Pressure | None = None


bridge = Bridge()
EXCHANGE_ID = "scalix_request_id"
ATTEMPT = "scalix_attempt"
# Without it LiteLLM takes `mock_response` out of a request's body, and asks the provider.
_MAY_MOCK = "allow_client_mock_response"


def marks_of(exchange: Exchange) -> dict[str, object]:
    """By which LiteLLM's events find their exchange, and tell one attempt from the next."""
    marks: dict[str, object] = {EXCHANGE_ID: exchange.admission.request_id, ATTEMPT: exchange.attempt.number}
    return {**marks, _MAY_MOCK: True} if exchange.admission.call.rehearse is not None else marks
