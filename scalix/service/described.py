"""Answers that are built as dicts, as types from which the OpenAPI description is made."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NotRequired, get_args, get_origin, get_type_hints

Json = dict[str, Any]


class Fields:
    """All the fields of an answer. To be used as an annotation:

        Found = Annotated[Json, Fields({str: "name city", NotRequired[int]: "age"})]

    A part is names by their type, the fields of another answer, or a class whose annotated fields are meant.
    """

    def __init__(self, *parts: "Mapping[Any, str | Sequence[str]] | Fields | type[Any]") -> None:
        self._parts = parts

    def types(self) -> Iterator[tuple[str, Any]]:
        """Each field's name and type; that of a field that may be absent is a `NotRequired` one."""
        for part in self._parts:
            if isinstance(part, Mapping):
                for kind, names in part.items():
                    yield from ((name, kind) for name in (names.split() if isinstance(names, str) else names))
            else:
                yield from part.types() if isinstance(part, Fields) else get_type_hints(part).items()

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> Any:
        """What pydantic describes answers by."""
        from pydantic_core import core_schema  # only the documentation and tests ask for it

        fields = {}
        for name, kind in self.types():
            may_be_absent = get_origin(kind) is NotRequired
            schema = handler.generate_schema(get_args(kind)[0] if may_be_absent else kind)
            fields[name] = core_schema.typed_dict_field(schema, required=not may_be_absent)
        return core_schema.typed_dict_schema(fields, extra_behavior="forbid")
