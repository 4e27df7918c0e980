"""What a store in memory keeps of one subject."""

from dataclasses import dataclass, field

from scalix.domain.ledger.ledger import Event
from scalix.domain.limits.limits import Amounts, Metric
from scalix.domain.limits.quota import Ask, Receipt
from scalix.domain.limits.tallying import Windows

USED = {metric: f"{metric.unit.field}_used" for metric in Metric}


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
