"""What a window of limits holds."""

from dataclasses import dataclass, replace

from scalix.domain.limits.limits import OF_ALL_VERSIONS, Amounts, Metric

LATER_METRICS = tuple(Metric)[OF_ALL_VERSIONS:]


@dataclass(frozen=True, slots=True)
class Tally:
    """What one window holds: settled use, and what requests in flight have reserved. The figures stand in the order of
    its text in the store: those of later metrics come last, used and held by turns."""

    requests_used: int = 0
    tokens_used: int = 0
    nano_usd_used: int = 0
    requests_held: int = 0
    tokens_held: int = 0
    nano_usd_held: int = 0

    @classmethod
    def of_text(cls, text: str) -> "Tally":
        """From the store. What a newer version has written beyond what is known here says nothing."""
        return cls(*map(int, text.split(" ")[: len(cls.__slots__)]))

    @classmethod
    def of(cls, used: Amounts, held: Amounts) -> "Tally":
        """With these amounts."""
        return cls(**dict(zip(_USED, used, strict=True)), **dict(zip(_HELD, held, strict=True)))

    @property
    def text(self) -> str:
        """As the store has it."""
        figures = [getattr(self, name) for name in self.__slots__]
        while len(figures) > 2 * OF_ALL_VERSIONS and not any(figures[-2:]):
            del figures[-2:]
        return " ".join(map(str, figures))

    def without_held(self) -> "Tally":
        """The settled use alone."""
        return replace(self, **dict.fromkeys(_HELD, 0))

    def used(self, metric: Metric) -> int:
        """Settled use, in the metric's unit."""
        amount: int = getattr(self, _USED[metric.place])
        return amount

    def held(self, metric: Metric) -> int:
        """Reserved by requests in flight, in the metric's unit."""
        amount: int = getattr(self, _HELD[metric.place])
        return amount


_USED, _HELD = (tuple(f"{metric.unit.field}_{part}" for metric in Metric) for part in ("used", "held"))
