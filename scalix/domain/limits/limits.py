"""What can be limited: an amount of something within a calendar window, and how many at once."""

from dataclasses import dataclass
from enum import StrEnum

NANO_USD_PER_USD = 1_000_000_000


class Metric(StrEnum):
    """What a window counts. Units: requests, tokens, and nano-dollars for `SPEND`."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    SPEND = "spend_usd"


class Window(StrEnum):
    """A calendar window in UTC, shortest first."""

    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


def limit_name(metric: Metric, window: Window) -> str:
    """The name of a limit, such as `requests-hour` or `spend_usd-month`."""
    return f"{metric.value}-{window.value}"


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
