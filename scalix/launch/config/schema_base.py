"""What every part of the `scalix:` section's shape is made of."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"
Name = Annotated[str, Field(pattern=NAME_PATTERN)]


def wrong(what: str, fix: str) -> PydanticCustomError:
    """An error that says both what is wrong and what to write instead."""
    return PydanticCustomError("scalix", "{what}", {"what": what, "fix": fix})


class Section(BaseModel):
    """A part of the `scalix:` section: every key is known, every type is exact."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
