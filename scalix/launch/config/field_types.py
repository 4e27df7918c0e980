"""The types of single values in the config file, each with the error that a wrong one gets."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator

from scalix.domain.identity.addresses import Network, parse_address, parse_network
from scalix.domain.identity.subjects import RESERVED_PREFIXES
from scalix.domain.limits import limit_amounts
from scalix.domain.limits.limit_amounts import WrongAmount
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.requests.control_fields import is_control_field
from scalix.domain.requests.routes import Route
from scalix.launch.config.schema_base import decimal_of, wrong

# No model costs a cent per token; a price above it is one per thousand or per million tokens.
HIGHEST_USD_PER_TOKEN = Decimal("0.01")
# No model costs ten cents for a thousand tokens; more than that is a price per token or per thousand, misplaced.
HIGHEST_USD_PER_MILLION = 100_000
HIGHEST_USD_PER_REQUEST = 1_000
HIGHEST_MARKUP = 1_000
_LONGEST_PREFIX = 64
_HOST = re.compile(r"(\*\.)?[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\]")
# Apps on a desktop and extensions of browsers have schemes of their own.
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]{0,31}://(?:[a-z0-9._-]{1,253}|\[[0-9a-f:.]{2,45}\])(?::[0-9]{1,5})?")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_USUAL_PORT = {"http": ":80", "https": ":443"}
_FIELD = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_NO_ADDRESS = ("is not a web address", "write one that starts with https://")


def _backup_place(value: str) -> str:
    example = "write a directory such as /var/backups/scalix, or s3://bucket/prefix"
    if value.startswith("s3://"):
        bucket, _, prefix = value.removeprefix("s3://").partition("/")
        if not _BUCKET.fullmatch(bucket) or not prefix.isprintable():
            raise wrong("is no bucket", example)
    elif "://" in value or not value.startswith(("/", "~/")):
        # A relative one would be another directory wherever the command is called.
        raise wrong("is neither a whole path nor a bucket", example)
    return value


def _amount(check: Callable[[object], int]) -> BeforeValidator:
    def validated(value: Any) -> int:
        try:
            return check(value)
        except WrongAmount as error:
            raise wrong(error.what, f"{error.fix}, or remove the key for no limit") from None

    return BeforeValidator(validated)


def _usd_per_token(value: Any) -> Decimal:
    usd = decimal_of(value)
    if usd is None:
        raise wrong("is not a price in US dollars per token", "write a number such as 0.0000025")
    if usd >= HIGHEST_USD_PER_TOKEN:
        raise wrong(f"is {value} US dollars per single token", "divide a price per million tokens by 1000000")
    return usd


def _usd(most: int, example: str) -> BeforeValidator:
    def validated(value: Any) -> Decimal:
        usd = decimal_of(value)
        if usd is None or usd > most:
            raise wrong(f"is not a price from 0 to {most} US dollars", f"write a number such as {example}")
        return usd

    return BeforeValidator(validated)


def _markup(value: Any) -> int:
    times = decimal_of(value)
    if times is None or times > HIGHEST_MARKUP or times * PPM % 1:
        raise wrong(
            f"is not a number from 0 to {HIGHEST_MARKUP} of at most six decimals",
            "write 1.2 for a fifth on top of the provider's price, 1 for that price, 0 for no charge",
        )
    return int(times * PPM)


def _moment(value: Any) -> str:
    try:
        at = datetime.fromisoformat(value.replace("Z", "+00:00")) if isinstance(value, str) else None
    except ValueError:
        at = None
    if at is None or at.second or at.microsecond or at.year < 1970:
        raise wrong("is not a day or a minute (UTC)", "write one such as 2026-11-01 or 2026-11-01T12:30")
    at = at.astimezone(UTC) if at.tzinfo else at
    return at.strftime("%Y-%m-%dT%H:%M").removesuffix("T00:00")


def _network(value: Any) -> Network:
    try:
        return parse_network(value)
    except (ValueError, AttributeError):
        fix = "write a network such as 10.0.0.0/8 or 2001:db8::/32, or one address"
        raise wrong(f"'{str(value)[:60]}' is no network in CIDR notation", fix) from None


def _key_set_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host = parts.hostname or ""
    except ValueError:
        raise wrong(*_NO_ADDRESS) from None
    address = parse_address(host)
    local = host == "localhost" or (address is not None and address.is_loopback)
    if not host or parts.scheme not in ("https", "http") or len(value.split()) != 1:
        raise wrong(*_NO_ADDRESS)
    if parts.scheme == "http" and not local:
        raise wrong("is not encrypted, so that others could put their keys in", "write https://")
    if parts.username or parts.password:
        raise wrong("holds a password", "give the key set an address without one; it holds public keys only")
    return value


def _origin(value: str) -> str:
    # As browsers write it, with which it is compared.
    origin = value.lower().removesuffix("/")
    if value != "*" and not _ORIGIN.fullmatch(origin):
        fix = "write scheme and host without a path, such as https://app.example.com, or '*' for all"
        raise wrong(f"'{value[:60]}' is no origin", fix)
    return origin.removesuffix(_USUAL_PORT.get(origin.partition(":")[0], "/"))


def _host(value: str) -> str:
    lowered = value.lower()
    if not _HOST.fullmatch(lowered):
        raise wrong(f"'{value[:60]}' is no host name", "write a name without scheme and port, such as api.example.com")
    return lowered


def _web_address(value: str) -> str:
    if not value.startswith(("https://", "http://")) or len(value.split()) != 1 or not value.isascii():
        raise wrong(*_NO_ADDRESS)
    return value


def _model_name(value: str) -> str:
    if not value.strip() or value != value.strip() or not value.isprintable():
        raise wrong("is not a usable model name", "write a name such as gpt-4")
    if "," in value or "?" in value:
        raise wrong(f"holds a character of ',?' in the model name '{value}'", "give each model one exact name")
    if value.count("*") > 1:
        raise wrong(f"holds more than one * in the model name '{value}'", "write a wildcard with one, such as openai/*")
    return value


def _plain(value: str) -> str:
    if not value.strip() or not value.isprintable():
        raise wrong("is empty or not printable", "write the text as the tokens carry it")
    return value


def _prefix(value: str) -> str:
    if not value.isprintable() or len(value) > _LONGEST_PREFIX:
        raise wrong("is no usable prefix", f"write up to {_LONGEST_PREFIX} printable characters, such as acme:")
    if value.startswith(RESERVED_PREFIXES):
        raise wrong("begins a name that the gateway gives itself", "write another prefix, such as acme:")
    return value


def _route(value: Any) -> Any:
    if value not in set(Route):
        raise wrong(f"'{str(value)[:60]}' is no metered route", f"write one of {', '.join(Route)}")
    return value


def _field(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise wrong(f"'{value[:60]}' is no name of a body field", "write a name such as chat_template_kwargs")
    if is_control_field(value):
        what = f"'{value}' would let a client steer routing, prices or identity"
        raise wrong(what, "remove it; set it under litellm_params of a model instead")
    return value


def _chain(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise wrong("is not a list of models", "write for example [gemini-pro, free-gemini-flash], or remove the key")
    return tuple(value)


def _weights(value: Any) -> dict[str, int]:
    weights = (
        dict.fromkeys(value, 1) if isinstance(value, list) and all(isinstance(one, str) for one in value) else value
    )
    if not isinstance(weights, dict) or not weights or not all(isinstance(name, str) for name in weights):
        raise wrong("names no models", "write for example [gpt-4], or with weights {gpt-4: 3, gemini-pro: 1}")
    if not all(isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= 1000 for one in weights.values()):
        raise wrong("has a weight that is not a whole number from 1 to 1000", "write for example {gpt-4: 3}")
    return weights


def _hours(value: Any) -> tuple[int, int]:
    hours = value if isinstance(value, list) else []
    are_whole = all(isinstance(one, int) and not isinstance(one, bool) and 0 <= one <= 24 for one in hours)
    if len(hours) != 2 or not are_whole or hours[0] % 24 == hours[1] % 24:
        raise wrong("is not two different hours of the day", "write for example [8, 18], in UTC")
    return hours[0], hours[1]


def one_or_more(kind: type) -> BeforeValidator:
    """Lets a list of one be written as its only item, where that is of `kind`."""
    return BeforeValidator(lambda value: [value] if isinstance(value, kind) else value)


Count = Annotated[int, _amount(limit_amounts.count)]
Size = Annotated[int, _amount(limit_amounts.positive_count)]
NanoUsd = Annotated[int, _amount(limit_amounts.nano_usd)]
UsdPerToken = Annotated[Decimal, BeforeValidator(_usd_per_token)]
UsdPerMillion = Annotated[Decimal, _usd(HIGHEST_USD_PER_MILLION, "2.50")]
UsdPerRequest = Annotated[Decimal, _usd(HIGHEST_USD_PER_REQUEST, "0.001")]
MarkupPpm = Annotated[int, BeforeValidator(_markup)]
"""A factor, in parts per million."""
Moment = Annotated[str, BeforeValidator(_moment)]
"""A day, or a day and a minute, UTC, as they are shown."""
Cidr = Annotated[Network, BeforeValidator(_network)]
CidrText = Annotated[str, BeforeValidator(lambda value: str(_network(value)))]
KeySetUrl = Annotated[str, AfterValidator(_key_set_url)]
Origin = Annotated[str, AfterValidator(_origin)]
WebAddress = Annotated[str, AfterValidator(_web_address)]
BackupPlace = Annotated[str, AfterValidator(_backup_place)]
ModelName = Annotated[str, AfterValidator(_model_name)]
HostName = Annotated[str, AfterValidator(_host)]
RouteName = Annotated[str, BeforeValidator(_route)]
BodyField = Annotated[str, AfterValidator(_field)]
Plain = Annotated[str, AfterValidator(_plain)]
UserPrefix = Annotated[str, AfterValidator(_prefix)]
Chain = Annotated[tuple[str, ...], BeforeValidator(_chain)]
"""The models that take another's place, in order."""
Weights = Annotated[dict[str, int], BeforeValidator(_weights)]
Hours = Annotated[tuple[int, int], BeforeValidator(_hours)]
"""From one hour to before another."""
