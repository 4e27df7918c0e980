"""What the number of a limit may be. One rule for the config file, for users' own limits, and for the command line."""

from decimal import Decimal

from scalix.domain.limits.limits import NANO_USD_PER_USD

# Redis' scripts count in doubles, which are exact up to here.
LARGEST_COUNT = 2**53 - 1


class WrongAmount(ValueError):
    """Not a limit's number. `what` continues a sentence that begins with the limit's name; `fix` says what to write."""

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = what
        self.fix = fix


def count(value: object) -> int:
    """A number of requests or tokens, or of requests at once; 0: none. Raises `WrongAmount`."""
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_COUNT:
        raise WrongAmount("is not 0 or a positive whole number", "write a number such as 100")
    return value


def positive_count(value: object) -> int:
    """A size in tokens, of which there is no none. Raises `WrongAmount`."""
    try:
        size = count(value)
    except WrongAmount:
        size = 0
    if not size:
        raise WrongAmount("is not a positive whole number", "write a number such as 100")
    return size


def nano_usd(value: object) -> int:
    """An amount in US dollars (int, Decimal, or a float as JSON gives it) in nano-dollars; 0: no
    money. Raises `WrongAmount`."""
    if isinstance(value, float):
        value = Decimal(repr(value))
    number = Decimal(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else Decimal(-1)
    if not number.is_finite() or number < 0:
        raise WrongAmount("is not 0 or a positive amount in US dollars", "write a number such as 2.50")
    nano = number * NANO_USD_PER_USD
    if nano != nano.to_integral_value() or nano > LARGEST_COUNT:
        raise WrongAmount("is finer than a nano-dollar or too large", "write an amount such as 2.50")
    return int(nano)
