"""What every part of the `scalix:` section's shape is made of."""

from decimal import Decimal
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def wrong(what: str, fix: str) -> PydanticCustomError:
    """An error that says both what is wrong and what to write instead."""
    return PydanticCustomError("scalix", "{what}", {"what": what, "fix": fix})


def usd_of(value: Any) -> Decimal | None:
    """The amount that a file's value is; `None` for what is no amount from 0 on."""
    try:
        usd = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        return None
    return usd if usd is not None and usd.is_finite() and usd >= 0 else None


class Section(BaseModel):
    """A part of the `scalix:` section: every key is known, every type is exact."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
