"""Samples of an SDK's types, made from the types' own definitions: every field has a value, and every member of a union
and every literal stands in one of them. What a new version of an SDK adds is therefore in them."""

import re
import types
from collections.abc import Collection, Iterator
from datetime import datetime
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

_TAG = re.compile(r"_own[\w-]{20}$")  # by which a stored id is its user's
_JSON_TEXTS = frozenset({"arguments", "partial_json"})
_SCALARS: dict[Any, Any] = {int: 3, float: 0.5, bool: True, object: "any", Any: "any", datetime: "2026-01-01T00:00:00Z"}


def members(kind: Any) -> list[Any]:
    """The types that a union has, in order and without `None`; of what is no union, itself."""
    origin = get_origin(kind)
    if origin is Annotated:
        return members(get_args(kind)[0])
    if origin in (Union, types.UnionType):
        return [one for part in get_args(kind) for one in members(part)]
    return [] if kind is type(None) else [kind]


def samples(kind: Any, at: str = "", within: tuple[Any, ...] = ()) -> list[Any]:
    """Values of `kind` that between them have every field, member and literal. Texts say where they stand. What is in
    itself, a type in its own fields, is left out there."""
    found: list[Any] = []
    for one in members(kind):
        origin, parts = get_origin(one), get_args(one)
        if origin is Literal:
            found += parts
        elif origin is list:
            found.append(samples(parts[0], at, within))
        elif origin is dict:
            found.append(dict(zip(("key",), samples(parts[1], at, within), strict=False)))
        elif isinstance(one, type) and issubclass(one, BaseModel):
            found += [] if one in within else objects(one, at, within)
        elif one is str:
            found.append('{"location":"Paris"}' if at.rpartition(".")[2] in _JSON_TEXTS else at)
        else:
            found.append(_SCALARS[one])
    return found


def fields(
    kind: type[BaseModel], at: str = "", within: tuple[Any, ...] = (), *, but: Collection[str] = ()
) -> dict[str, list[Any]]:
    """Of each field of a type (`but` for these) its samples."""
    return {
        field.alias or name: values
        for name, field in kind.model_fields.items()
        if name not in but and (values := samples(field.annotation, f"{at}.{name}".lstrip("."), (*within, kind)))
    }


def objects(kind: type[BaseModel], at: str = "", within: tuple[Any, ...] = (), **given: Any) -> list[dict[str, Any]]:
    """Samples of one type, with `given` values for some of its fields."""
    found = fields(kind, at, within, but=given)
    found |= {name: [value] for name, value in given.items() if name in kind.model_fields}
    many = max(map(len, found.values()), default=1)
    return [{name: values[turn % len(values)] for name, values in found.items()} for turn in range(many)]


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """Each scalar of a value (and each empty list or object), with the path to it."""
    if isinstance(value, dict) and value:
        for name, held in value.items():
            yield from leaves(held, f"{at}.{name}".lstrip("."))
    elif isinstance(value, list) and value:
        for index, held in enumerate(value):
            yield from leaves(held, f"{at}[{index}]")
    else:
        yield at, _TAG.sub("", value) if isinstance(value, str) else value


def lost(sent: Any, seen: Any) -> dict[str, Any]:
    """What was sent and is not seen as it was sent, by path. Of a stream, whose texts may be cut otherwise, everything
    that stood somewhere must stand there, or together be the same text."""
    if not isinstance(sent, list):
        found = dict(leaves(seen))
        return {path: value for path, value in leaves(sent) if value is not None and found.get(path) != value}
    said, heard = _by_path(sent), _by_path(seen)
    return {
        path: missing
        for path, values in said.items()
        if (missing := [value for value in values if value not in heard.get(path, ())])
        and _joined(values) != _joined(heard.get(path, []))
    }


def _by_path(events: list[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for event in events:
        kind = event.get("type", "")
        for path, value in leaves(event):
            if value not in (None, {}, []):
                found.setdefault(f"{kind} {path}".lstrip(), []).append(value)
    return found


def _joined(values: list[Any]) -> str:
    return "".join(map(str, values))
