"""Which body fields may go in, by route: those of OpenAI's and Anthropic's APIs and of a list of ours, and nothing that
steers LiteLLM, which takes `api_base`, `mock_response`, `fallbacks`, prices and much else from a body.

OpenAI's are read from the types of its SDK, which LiteLLM brings; Anthropic's stand here, and a test compares them with
the types of its SDK. What nobody knows goes no further, and the client is told its name.
"""

from collections.abc import Collection, Mapping, Set
from functools import cache
from importlib import import_module
from typing import Any, get_args

from scalix.domain.errors import BadRequest
from scalix.domain.requests.control_fields import control_field_among, nested_control_field
from scalix.domain.requests.dropped import LONGEST_NAME, Dropped
from scalix.domain.requests.features import FIELD as OPTIONS
from scalix.domain.requests.field_lists import (
    KINDS,
    OF_ANSWERS,
    PASSED,
    PASSED_WITHIN,
    REFUSED,
    TAKEN,
    WHOLE_NUMBERS,
    says_nothing,
)
from scalix.domain.requests.routes import Route

# OpenAI's too, but LiteLLM reads settings of its own from it.
_NOT_FORWARDED = frozenset({"metadata"})
_PASSED = PASSED.keys() | PASSED_WITHIN.keys()
# Ours, which admission takes out of the body: see `domain/features.py`.
_OURS = frozenset({"user", OPTIONS})


@cache
def allowed_fields(route: Route) -> frozenset[str]:
    """The body fields of a route, `user` included: it names the charged user under the master key."""
    row = route.row
    names = row.fields | _OURS
    if row.sdk_type:
        module, _, name = f"openai.types.{row.sdk_type}".rpartition(".")
        params = getattr(import_module(module), name)
        # A TypedDict's keys include those of its bases.
        for type_ in get_args(params) or (params,):
            names |= (type_.__required_keys__ | type_.__optional_keys__) - _NOT_FORWARDED
    return names


def check_fields(route: Route, body: dict[str, Any], extras: Collection[str] = (), *, strict: bool = False) -> Dropped:
    """Take out of `body`, in place, the fields that mean nothing here; they are returned. `null` is absent.

    Raises `BadRequest` for a field that steers LiteLLM, for one that would change what is counted, for one that is
    passed on and of a wrong type, for a `stream` that is neither true nor false, and, if `strict`, for every other
    that the route does not have. `extras` are fields that the operator allows.
    """
    _normalise(body)
    dropped = Dropped()
    unknown = body.keys() - allowed_fields(route)
    if unknown:
        unknown.difference_update(extras)
        passed = unknown & _PASSED if route.row.passes_extras else frozenset()
        unknown -= passed
        _refuse_dangerous(route, body, unknown)
        _drop(body, sorted(unknown), dropped, strict)
        for name in passed:
            if name in PASSED:
                _check_kind(name, body[name], PASSED[name][0])
            else:
                _drop_within(name, body, dropped, strict)
    if "stream_options" in body:
        _drop_within("stream_options", body, dropped, strict)
    if (steering := nested_control_field(body)) is not None:
        raise _not_accepted(steering)
    if body.get("background", False) is not False:
        message = (
            "'background' has the provider work on when nobody waits for it, so what it uses could not be counted. "
            "Leave it out, and stream an answer that takes long."
        )
        raise BadRequest(message, param="background")
    if not isinstance(body.get("stream", False), bool):
        raise BadRequest("'stream' must be true or false.", param="stream")
    return dropped


def _normalise(body: dict[str, Any]) -> None:
    """Absent for `null`, whole numbers for `1.0`, and a text for a user's number, in place."""
    for name in [name for name, value in body.items() if value is None]:
        del body[name]
    for name in WHOLE_NUMBERS & body.keys():
        value = body[name]
        if isinstance(value, float) and value.is_integer():
            body[name] = int(value)
    user = body.get("user")
    if isinstance(user, int) and not isinstance(user, bool):
        body["user"] = str(user)


def _refuse_dangerous(route: Route, body: Mapping[str, Any], unknown: Set[str]) -> None:
    listed = {name for name in unknown & REFUSED.keys() if not says_nothing(name, body[name])}
    if not route.row.generates:
        listed -= OF_ANSWERS
    if listed:
        name = min(listed)
        reason = REFUSED[name].format(cap=(*route.row.caps, "max_tokens")[0])
        raise BadRequest(f"The field '{name}' is not taken: {reason}.", param=name)
    steering = control_field_among(unknown - TAKEN.keys() - REFUSED.keys() - _PASSED)
    if steering is not None:
        raise _not_accepted(steering)


def _not_accepted(name: str) -> BadRequest:
    return BadRequest(f"The field '{name[:100]}' is not accepted on this route. Remove it.", param=name[:100])


def _drop(body: dict[str, Any], names: Collection[str], dropped: Dropped, strict: bool) -> None:
    if strict:
        name = next((name for name in names if name not in TAKEN), None)
        if name is not None:
            raise _not_accepted(name)
    for name in names:
        del body[name]
    dropped.add(names)


def _drop_within(outer: str, body: dict[str, Any], dropped: Dropped, strict: bool) -> None:
    """Leave of an object what is passed on of it."""
    inner = body[outer]
    if not isinstance(inner, dict):
        if outer == "stream_options":
            raise BadRequest(f"'{outer}' must be an object.", param=outer)
        _drop(body, [outer], dropped, strict)
        return
    _normalise(inner)
    known = PASSED_WITHIN[outer]
    unknown = inner.keys() - known.keys()
    if unknown:
        steering = control_field_among(unknown)
        if steering is not None or strict:
            raise _not_accepted(f"{outer}.{steering or min(unknown)}")
        body[outer] = inner = {name: value for name, value in inner.items() if name in known}
        dropped.add(f"{outer}.{name[:LONGEST_NAME]}" for name in sorted(unknown))
    for name, value in inner.items():
        _check_kind(f"{outer}.{name}", value, known[name][0])
    if not inner:
        del body[outer]


def _check_kind(name: str, value: Any, kind: str) -> None:
    is_right, words = KINDS[kind]
    if not is_right(value):
        raise BadRequest(f"'{name}' must be {words}.", param=name)
