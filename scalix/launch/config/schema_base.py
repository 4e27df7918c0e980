"""The building blocks of the schema: sections, errors, and checks of single values."""

from dataclasses import MISSING, fields
from decimal import Decimal
from typing import Annotated, Any, TypeVar, cast

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, create_model
from pydantic_core import PydanticCustomError

Item = TypeVar("Item")
Listed = Annotated[tuple[Item, ...], Field(strict=False)]
"""A list of the file, as the tuple that the domain's dataclasses hold."""
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]


class Section(BaseModel):
    """A part of the `scalix:` section: unknown keys are errors, and no value is converted to another type."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def wrong(what: str, fix: str) -> PydanticCustomError:
    """Return a validation error for the operator: what is wrong with the value, and what to write instead."""
    return PydanticCustomError("scalix", "{what}", {"what": what, "fix": fix})


def whole(least: int, most: int, usual: int, kind: str = "whole number") -> BeforeValidator:
    """Return a validator of whole numbers from `least` to `most`. Its error calls the number `kind` and suggests
    `usual`."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong(f"is not a {kind} from {least} to {most}", f"write a number such as {usual}")
        return value

    return BeforeValidator(check)


def decimal_of(value: Any) -> Decimal | None:
    """Return the exact number that a value of the file is; `None` if it is no finite number from 0 on."""
    try:
        number = Decimal(value) if isinstance(value, int | str | Decimal) and not isinstance(value, bool) else None
    except ArithmeticError:
        return None
    return number if number is not None and number.is_finite() and number >= 0 else None


def section_of(kind: type, **checks: Any) -> BeforeValidator:
    """Return a validator that turns a section into a dataclass of the domain with the same keys and default
    values.

    `checks` say of a field what its own type does not: the least and the most whole number, or another type.
    """
    members: Any = {}
    for field in fields(kind):
        check = checks.get(field.name, field.type)
        usual = cast(Any, ... if field.default is MISSING else field.default)
        if isinstance(check, tuple):
            least, most = check
            check = Annotated[int, whole(least, most, usual)]
        members[field.name] = (check, usual)
    shape = create_model(kind.__name__, __base__=Section, **members)
    return BeforeValidator(lambda written: kind(**dict(shape.model_validate(written))))


def as_written(section: Section, *names: str) -> dict[str, Any]:
    """Return the values of keys that a dataclass of the domain has under the same names."""
    return {name: getattr(section, name) for name in names}
