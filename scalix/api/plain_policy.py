"""Reads a running gateway's policy without pydantic, whose import would take a third of a call's time."""

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import orjson

from scalix.domain.policy import Policy


def read_plain_policy(path: Path) -> Policy:
    """The policy in the file. Raises `ValueError` if it is not exactly as this version writes it."""
    try:
        policy = _value(Policy, orjson.loads(path.read_bytes())["policy"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a policy of this version ({type(error).__name__})") from None
    assert isinstance(policy, Policy)  # noqa: S101 - told to the type checker
    return policy


def _value(kind: Any, data: Any) -> Any:
    if isinstance(kind, type) and is_dataclass(kind):
        hints = _hints(kind)
        if data.keys() != hints.keys():
            raise ValueError(f"{kind} has other members")
        return kind(**{name: _value(hints[name], data[name]) for name in hints})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is types.UnionType:
        if data is None and type(None) in arguments:
            return None
        (kind,) = (one for one in arguments if one is not type(None))
        return _value(kind, data)
    if origin is Literal:
        return _checked(data, data in arguments)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in data)
        return tuple(_value(one, item) for one, item in zip(arguments, data, strict=True))
    if origin is frozenset:
        return frozenset(_value(arguments[0], item) for item in data)
    if origin in (Mapping, dict):
        return {_value(arguments[0], name): _value(arguments[1], item) for name, item in data.items()}
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    return _checked(data, kind in (str, int, bool, float) and type(data) is kind)


def _checked(data: Any, is_right: bool) -> Any:
    if not is_right:
        raise ValueError("a value of another kind")
    return data


@cache
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}
