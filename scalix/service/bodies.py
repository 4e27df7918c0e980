"""Bodies of operators' requests as models: what a handler reads, and what the OpenAPI description says of it."""

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from scalix.domain.errors import BadRequest
from scalix.domain.identity.user_ids import MAX_USER_ID_CHARS, checked_user_id
from scalix.domain.limits.limit_overrides import LimitSyntaxError, parse_overrides
from scalix.domain.limits.limits import CONCURRENT, Metric, Window
from scalix.service.queries import refuse_unknown

JsonSchema = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ReadBy:
    """How a field is read. `read` is given the value and the field's name, and raises `BadRequest`; `schema` describes
    what it takes."""

    read: Callable[[Any, str], Any]
    schema: JsonSchema

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """The field's check is `read` alone."""
        return core_schema.with_info_plain_validator_function(
            lambda value, info: self.read(value, info.field_name or ""),
        )

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchema:
        """The description of the field."""
        return deepcopy(self.schema)  # pydantic adds to it


class RequestBody(BaseModel):
    """One body. A field without a default must be there; its description says what to write."""

    model_config = ConfigDict(frozen=True)
    refuses_unknown: ClassVar[bool] = True

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """The body as a model. Raises `BadRequest` that names the field."""
        if cls.refuses_unknown:
            refuse_unknown_fields(body, cls.model_fields)
        for name, field in cls.model_fields.items():
            if field.is_required() and name not in body:
                raise BadRequest(f"'{name}' is missing: {field.description}.", param=name)
        return cls.model_validate(body)

    def given(self) -> dict[str, Any]:
        """The fields that were written, as they were read."""
        return {name: getattr(self, name) for name in type(self).model_fields if name in self.model_fields_set}


refuse_unknown_fields = partial(refuse_unknown, "field")


def flag(value: Any, name: str) -> bool:
    """`true` or `false`. Raises `BadRequest`."""
    if not isinstance(value, bool):
        raise BadRequest(f"'{name}' must be true or false.", param=name)
    return value


FLAG: JsonSchema = {"type": "boolean"}
TEXT: JsonSchema = {"type": "string"}
USER_ID: JsonSchema = {"type": "string", "minLength": 1, "maxLength": MAX_USER_ID_CHARS}
UserId = Annotated[str, ReadBy(checked_user_id, USER_ID), Field(description="name the user")]


def _checked_limits(value: Any, param: str) -> Mapping[str, Any]:
    """`value` if it can be a user's own limits, else `BadRequest` that names the entry."""
    try:
        parse_overrides(value, param)
    except LimitSyntaxError as error:
        raise BadRequest(f"'{error.where}' {error.what}: {error.fix}.", param=error.where) from None
    assert isinstance(value, Mapping)  # noqa: S101 - told to the type checker, which parse_overrides can't
    return value


def _amounts_schema() -> JsonSchema:
    """`{"requests": {"hour": 20}, "concurrent": 3}`; an amount may stand with `enforce`, and `null` is no limit."""
    value: JsonSchema = {"type": ["number", "string", "null"]}
    whole = {"type": "object", "properties": {"limit": value, "enforce": FLAG}, "required": ["limit"]}
    amount: JsonSchema = {"anyOf": [value, whole]}
    windows = {"type": "object", "properties": {window.value: amount for window in Window}, "minProperties": 1}
    properties = {**{metric.value: windows for metric in Metric}, CONCURRENT: amount}
    return {"type": "object", "properties": properties, "additionalProperties": False}


LimitsOfUser = Annotated[Mapping[str, Any], ReadBy(_checked_limits, _amounts_schema())]
