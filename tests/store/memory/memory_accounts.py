"""What a store in memory keeps of one subject."""

from dataclasses import dataclass, field

from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.limits import Metric
from scalix.domain.limits.quota import Ask, Charge, Receipt
from scalix.domain.limits.tallying import Amounts, Windows

USED = {Metric.REQUESTS: "requests_used", Metric.TOKENS: "tokens_used", Metric.SPEND: "nano_usd_used"}


@dataclass(slots=True)
class Reservation:
    """A request in flight. `balance_held` is what it holds of the balance."""

    ask: Ask
    receipt: Receipt
    held: Amounts
    if_swept: Amounts
    lapses_ms: int
    balance_held: int = 0
    balance_charged: int = 0  # by a sweep


@dataclass(slots=True)
class Account:
    """One subject. `swept` are the requests among `events` that a sweep has charged."""

    windows: Windows = field(default_factory=dict)
    in_flight: dict[str, Reservation] = field(default_factory=dict)
    events: dict[str, Event] = field(default_factory=dict)
    released: set[str] = field(default_factory=set)
    swept: dict[str, Reservation] = field(default_factory=dict)


def event_of_charge(receipt: Receipt, charge: Charge) -> Event:
    """The event of a settled request."""
    return Event(
        request_id=receipt.request_id,
        subject=receipt.subject,
        admitted_ms=receipt.admitted_ms,
        key_id=receipt.key_id or "",
        outcome=charge.outcome.value,
        requests=charge.requests,
        tokens=charge.tokens,
        nano_usd=charge.nano_usd,
        estimated=charge.estimated,
        detail=charge.detail,
    )
