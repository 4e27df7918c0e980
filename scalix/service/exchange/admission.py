"""What is known of a request once it is admitted, and never changes after that."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from scalix.domain.limits.quota import Admitted, Ask, Receipt
from scalix.domain.policy import Model
from scalix.domain.prices.pricing import Price
from scalix.domain.requests.routes import Route
from scalix.service.exchange.calls import Call
from scalix.service.identity.callers import Caller


@dataclass(frozen=True, slots=True)
class Reservation:
    """The room that was asked for, and what the store said. `local`: it was away, and this process has decided."""

    ask: Ask
    admitted: Admitted
    local: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """The models that there were, as they were and cost, when the request was admitted.

    serving: the names of those whose price was reserved, and no others may serve; `None`: any.
    options: `scalix_options` of the request, for models that have the features.
    """

    models: Mapping[str, Model] = field(default_factory=dict)
    serving: frozenset[str] | None = None
    options: Mapping[str, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Admission:
    """Who asks, what, and what was reserved for it.

    asked_cap_tokens: the longest answer that the client wants, for each choice; `None`: it has not said.
    began_s: when it came, by the monotonic clock; 0: nobody has timed it.
    """

    caller: Caller
    call: Call
    reservation: Reservation
    offer: Offer = field(default_factory=Offer)
    asked_cap_tokens: int | None = None
    began_s: float = 0.0

    @property
    def request_id(self) -> str:
        return self.call.request_id

    @property
    def route(self) -> Route:
        return self.call.route

    @property
    def streamed(self) -> bool:
        return self.call.streamed

    @property
    def model(self) -> str:
        """The name of the model that was asked for."""
        return self.reservation.ask.model

    @property
    def choices(self) -> int:
        return self.reservation.ask.choices

    @property
    def receipt(self) -> Receipt:
        return self.reservation.admitted.receipt

    def price_of(self, model: str | None) -> Price | None:
        """The price of a model as it was then; `None`: nobody knows one."""
        known = self.offer.models.get(model or "")
        return known.price_at(self.receipt.admitted_ms) if known is not None else None
