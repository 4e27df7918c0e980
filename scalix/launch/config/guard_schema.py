"""The shape of `scalix.allowed_hosts`, `scalix.ip_rules`, `scalix.overload` and `scalix.extra_body_fields`."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field

from scalix.domain.requests import guard
from scalix.domain.requests.control_fields import is_control_field
from scalix.domain.requests.routes import Route
from scalix.launch.config.identity_schema import Cidr
from scalix.launch.config.schema_base import Section, wrong

_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")
# Apps on a desktop and extensions of browsers have schemes of their own.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,31}://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")
_USUAL_PORT = {"http": ":80", "https": ":443"}
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _host(value: str) -> str:
    lowered = value.lower()
    if not _HOST.fullmatch(lowered):
        raise wrong(f"'{value[:60]}' is no host name", "write a name without scheme and port, such as api.example.com")
    return lowered


def _between(least: int, most: int) -> BeforeValidator:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong(f"is not a whole number from {least} to {most}", f"write a number such as {max(least, 100)}")
        return value

    return BeforeValidator(check)


def _field(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise wrong(f"'{value[:60]}' is no name of a body field", "write a name such as chat_template_kwargs")
    if is_control_field(value):
        what = f"'{value}' would let a client steer routing, prices or identity"
        raise wrong(what, "remove it; set it under litellm_params of a model instead")
    return value


def _route(value: Any) -> Any:
    if value not in set(Route):
        raise wrong(f"'{str(value)[:60]}' is no metered route", f"write one of {', '.join(Route)}")
    return value


HostName = Annotated[str, AfterValidator(_host)]
RouteName = Annotated[str, BeforeValidator(_route)]
FieldName = Annotated[str, AfterValidator(_field)]


class IpRulesSection(Section):
    """Who may call by address. `deny` goes before `allow`."""

    allow: list[Cidr] = Field(default_factory=list)
    deny: list[Cidr] = Field(default_factory=list)


def _origin(value: str) -> str:
    # As browsers write it, with which it is compared.
    origin = value.lower().removesuffix("/")
    if value != "*" and not _ORIGIN.fullmatch(origin):
        fix = "write scheme and host without a path, such as https://app.example.com, or '*' for all"
        raise wrong(f"'{value[:60]}' is no origin", fix)
    return origin.removesuffix(_USUAL_PORT.get(origin.partition(":")[0], "/"))


class CorsSection(Section):
    """Whose pages may read answers in a browser."""

    origins: list[Annotated[str, AfterValidator(_origin)]] = Field(default_factory=list)


class OverloadSection(Section):
    """What one worker carries at once."""

    in_flight: Annotated[int, _between(1, 100_000)] = guard.DEFAULT_IN_FLIGHT
    in_flight_per_address: Annotated[int, _between(1, 100_000)] = guard.DEFAULT_IN_FLIGHT_PER_ADDRESS
    body_memory_mib: Annotated[int, _between(32, 65_536)] = guard.DEFAULT_BODY_MEMORY_MIB
    wrong_key_delay_s: Annotated[int, _between(0, 30)] = guard.DEFAULT_WRONG_KEY_DELAY_S
    exempt: list[Cidr] | None = None
