"""Builds OpenAI's SDK's objects for chat answers and their chunks without looking up their types each time.

The SDK walks the annotations of every field of every object that it builds, and validates each optional one. Its
models are fixed, so the walk is done once. A value of another type than is usual for its field takes the SDK's own way,
so that what comes out is what the SDK would have built.
"""

import logging
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Union, get_args, get_origin

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic.fields import FieldInfo

from scalix.litellm_adapter.seam_checks import replace, stand
from scalix.service.exchange.exchanges import CURRENT

log = logging.getLogger("scalix.trimming")

_CLIENT = "openai._base_client:BaseClient"
_CHOICES = "litellm.types.utils:StreamingChoices"
_LEAVES = (str, int, bool)
_EXTRAS = ("finish_reason", "index", "delta", "logprobs", "enhancements")

Build = Callable[[dict[str, Any]], Any]


@dataclass(frozen=True, slots=True)
class _Field:
    """One field of a model: which types of JSON values it takes as they are, or what builds them."""

    name: str
    info: FieldInfo
    default: Any
    as_it_is: frozenset[type]
    build: Build | None = None
    is_list: bool = False


def shorten() -> None:
    """Put the short way into the SDK's client. Only what the edge has admitted takes it."""
    builders = {model: builder(model) for model in (ChatCompletion, ChatCompletionChunk)}
    if None in builders.values():
        log.warning("OpenAI's SDK builds its models in another way now: it is left to it")
    elif stand(f"{_CLIENT}._strict_response_validation"):
        replace(f"{_CLIENT}._process_response_data", partial(_shortened, builders))


def _shortened(builders: Mapping[Any, Build | None], own: Callable[..., Any]) -> Callable[..., Any]:
    def _process_response_data(self: Any, *, data: Any, cast_to: Any, response: Any) -> Any:
        build = builders.get(cast_to) if type(data) is dict and CURRENT.get() is not None else None
        if build is None or self._strict_response_validation:
            return own(self, data=data, cast_to=cast_to, response=response)
        return build(data)

    return _process_response_data


def remember_extras() -> None:
    """LiteLLM's choice of a streamed chunk has no fields: all that is set in it is extra, and for each such name
    Pydantic looks through the class anew, eight times a chunk. What it finds is always the same."""
    from litellm.types.utils import StreamingChoices

    kind: Any = StreamingChoices
    if stand(_CHOICES, f"{_CHOICES}.__pydantic_setattr_handlers__"):
        for name in _EXTRAS:
            if name not in kind.model_fields and not hasattr(kind, name):
                kind.__pydantic_setattr_handlers__.setdefault(name, _set_extra)


def _set_extra(model: Any, name: str, value: Any) -> None:
    model.__pydantic_extra__[name] = value
    model.__pydantic_fields_set__.add(name)


def builder(model: Any) -> Build | None:
    """A function that builds a `model` of the SDK's from a JSON object, as its `construct` does; `None` if its fields
    are not understood."""
    if not stand("openai._models:_construct_field", "openai._models:_get_extra_fields_type"):
        return None
    from openai._models import _construct_field as construct_field
    from openai._models import _get_extra_fields_type

    try:
        extra_type = _get_extra_fields_type(model)
        fields = {info.alias or name: _field(name, info) for name, info in model.model_fields.items()}
    except (AttributeError, TypeError) as error:
        log.debug("%s: %s", model, type(error).__name__)
        return None
    if extra_type is not None or any(key != field.name for key, field in fields.items()):
        return None
    known = tuple(fields.values())

    def build(data: dict[str, Any]) -> Any:
        values: dict[str, Any] = {}
        given: set[str] = set()
        for field in known:
            name = field.name
            if name not in data:
                values[name] = field.default
                continue
            given.add(name)
            value = data[name]
            kind = type(value)
            if value is None:
                values[name] = field.default
            elif kind in field.as_it_is:
                values[name] = value
            elif field.build is not None and not field.is_list and kind is dict:
                values[name] = field.build(value)
            elif field.build is not None and field.is_list and kind is list and all(type(one) is dict for one in value):
                values[name] = [field.build(one) for one in value]
            else:
                values[name] = construct_field(value=value, field=field.info, key=name)
        built = model.__new__(model)
        extra = {key: value for key, value in data.items() if key not in fields} if len(given) < len(data) else {}
        for attribute, content in (
            ("__dict__", values),
            ("__pydantic_private__", None),
            ("__pydantic_extra__", extra),
            ("__pydantic_fields_set__", given),
        ):
            object.__setattr__(built, attribute, content)
        return built

    return build


def _field(name: str, info: FieldInfo) -> _Field:
    default = None if info.is_required() else info.get_default()
    if info.default_factory is not None or isinstance(default, list | dict | set):
        raise TypeError(name)  # one object for all of them
    annotation: Any = info.annotation
    as_it_is, build, is_list = frozenset[type](), None, False
    if get_origin(annotation) is list:
        inner = get_args(annotation)[0]
        if _is_model(inner):
            build, is_list = builder(inner), True
    elif _is_model(annotation):
        build = builder(annotation)
    else:
        as_it_is = _leaves(annotation)
    return _Field(name, info, default, as_it_is, build, is_list)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and hasattr(annotation, "model_fields")


def _leaves(annotation: Any) -> frozenset[type]:
    """The types whose values a field takes without a change."""
    if annotation in _LEAVES:
        return frozenset({annotation})
    if get_origin(annotation) is Literal:
        return frozenset({str})
    if get_origin(annotation) in (Union, types.UnionType):
        kinds = [_leaves(one) for one in get_args(annotation) if one is not type(None)]
        # Of several, a validator may take another than the value's own.
        return kinds[0] if len(kinds) == 1 else frozenset()
    return frozenset()
