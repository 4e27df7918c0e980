"""What can be limited: an amount of something within a calendar window, and how many at once."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Self

NANO_USD_PER_USD = 1_000_000_000

Amounts = tuple[int, ...]
"""One amount for each metric, in the order of `Metric`."""


@dataclass(frozen=True, slots=True)
class Unit:
    """How a metric is counted, and how people read of it: its row in the table that `Metric` is.

    `field` is its name in `Ask`, `Charge` or `Detail`, with `_used` and `_held` in `Tally`. `word` follows an amount
    in a message, `none` begins the one of a limit of 0, `used` is what one does with it, `remedy` what helps whose
    request alone needs too much. `is_exact`: known before the answer, so that no more is reserved than is charged.
    `may_be_none`: there are requests that need none of it. `per_shown` of it make one of what people write and read,
    `per_header` one of the unit `header` of the rate-limit headers.
    """

    field: str
    word: str
    none: str
    used: str = "used"
    remedy: str = "Shorten the prompt."
    is_exact: bool = False
    may_be_none: bool = False
    per_shown: int = 1
    header: str = ""
    per_header: int = 1

    @property
    def is_money(self) -> bool:
        """Whether its amounts are written as dollars."""
        return self.per_shown == NANO_USD_PER_USD

    def shown(self, amount: int) -> int | float:
        """An amount as a number that people read."""
        return amount if self.per_shown == 1 else amount / self.per_shown

    def text(self, amount: int) -> str:
        """An amount in a message: `2.5` for 2,500,000,000 nano-dollars."""
        return usd_text(amount) if self.is_money else str(amount)


def usd_text(nano_usd: int) -> str:
    """`-2.5` for -2,500,000,000 nano-dollars."""
    sign, (dollars, rest) = "-" * (nano_usd < 0), divmod(abs(nano_usd), NANO_USD_PER_USD)
    return f"{sign}{dollars}.{rest:09d}".rstrip("0").rstrip(".")


class Metric(StrEnum):
    """What a window counts, by the name of its limits in the config. `store/lua/windows.lua` has the same rows."""

    REQUESTS = "requests", Unit("requests", "requests", "No requests are", is_exact=True)
    TOKENS = "tokens", Unit("tokens", "tokens", "No tokens are", header="tokens")
    SPEND = (
        "spend_usd",
        Unit(
            "nano_usd",
            "USD",
            "No money is",
            used="spent",
            remedy="Shorten the prompt or use a cheaper model.",
            may_be_none=True,
            per_shown=NANO_USD_PER_USD,
            header="micro-usd",
            per_header=1_000,
        ),
    )

    unit: Unit
    place: int
    """Where its amount stands in `Amounts`."""

    def __new__(cls, name: str, unit: Unit) -> Self:
        member = str.__new__(cls, name)
        member._value_, member.unit, member.place = name, unit, len(cls.__members__)
        return member

    @property
    def reserved(self) -> str:
        """The name of what requests in flight hold: `tokens_reserved`, `spend_reserved_usd`."""
        return f"{self.value.removesuffix('_usd')}_reserved{'_usd' * self.unit.is_money}"


OF_ALL_VERSIONS = 3
"""So many metrics have been there from the first version on. Others are written only where they are not zero, since
gateways of before can't read them."""


def amounts_text(amounts: Amounts) -> str:
    """As the store has it."""
    last = max((place + 1 for place, amount in enumerate(amounts) if amount), default=0)
    return " ".join(map(str, amounts[: max(last, OF_ALL_VERSIONS)]))


class Window(StrEnum):
    """A calendar window in UTC, shortest first."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


def limit_name(metric: Metric, window: Window) -> str:
    """The name of a limit, such as `requests-hour` or `spend_usd-month`."""
    return f"{metric.value}-{window.value}"


LIMIT_NAMES = {limit_name(metric, window): (metric, window) for metric in Metric for window in Window}
"""All limits of windows."""
CONCURRENT = "concurrent"
"""The name of the limit on requests in flight."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `value` of `metric` in one `window`.

    `value` is in requests, tokens or nano-dollars. With `enforce` false the limit is a shadow: it is counted and
    reported, and refuses nobody.
    """

    metric: Metric
    window: Window
    value: int
    enforce: bool = True

    @property
    def name(self) -> str:
        """The name that answers carry."""
        return limit_name(self.metric, self.window)


@dataclass(frozen=True, slots=True)
class Limits:
    """All limits of one subject. `concurrent` is the most requests in flight at once; `None` is unlimited."""

    windows: tuple[Limit, ...] = ()
    concurrent: int | None = None
    enforce_concurrent: bool = True


UNLIMITED = Limits()
