"""The shape of `scalix.jwt`, `scalix.anonymous` and `scalix.trusted_proxies`."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from scalix.domain.identity.addresses import Network, parse_address, parse_network
from scalix.domain.identity.identity import DEFAULT_LEEWAY_S, DEFAULT_REFRESH_S, KEY_SET_ALGORITHMS, SECRET_ALGORITHMS
from scalix.domain.identity.subjects import RESERVED_PREFIXES
from scalix.launch.config.schema_base import Name, Section, wrong

_MOST_LEEWAY_S = 300
_LEAST_REFRESH_S, _MOST_REFRESH_S = 60, 86_400
_LONGEST_PREFIX = 64


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
        raise wrong("is not a web address", "write one that starts with https://") from None
    address = parse_address(host)
    local = host == "localhost" or (address is not None and address.is_loopback)
    if not host or parts.scheme not in ("https", "http") or len(value.split()) != 1:
        raise wrong("is not a web address", "write one that starts with https://")
    if parts.scheme == "http" and not local:
        raise wrong("is not encrypted, so that others could put their keys in", "write https://")
    if parts.username or parts.password:
        raise wrong("holds a password", "give the key set an address without one; it holds public keys only")
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


def _seconds(least: int, most: int) -> BeforeValidator:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong(
                f"is not a number of seconds from {least} to {most}", f"write a number such as {max(least, 60)}"
            )
        return value

    return BeforeValidator(check)


def _listed(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Cidr = Annotated[Network, BeforeValidator(_network)]
Plain = Annotated[str, AfterValidator(_plain)]
Audiences = Annotated[list[Plain], BeforeValidator(_listed), Field(min_length=1)]
Algorithm = Literal["HS256", "RS256", "ES256", "EdDSA"]


class IssuerSection(Section):
    """One issuer of tokens. `secret` is a reference to a variable."""

    issuer: Plain
    audience: Audiences
    secret: Plain | None = None
    jwks_url: Annotated[str, AfterValidator(_key_set_url)] | None = None
    jwks_file: Plain | None = None
    algorithms: Annotated[list[Algorithm], Field(min_length=1)] | None = None
    user_claim: Plain = "sub"
    tier_claim: Plain | None = None
    trust_tier: bool = False
    user_prefix: Annotated[str, AfterValidator(_prefix)] = ""
    leeway_s: Annotated[int, _seconds(0, _MOST_LEEWAY_S)] = DEFAULT_LEEWAY_S
    refresh_s: Annotated[int, _seconds(_LEAST_REFRESH_S, _MOST_REFRESH_S)] = DEFAULT_REFRESH_S

    @model_validator(mode="after")
    def _fits_together(self) -> "IssuerSection":
        sources = [name for name in ("secret", "jwks_url", "jwks_file") if getattr(self, name) is not None]
        if len(sources) != 1:
            what = f"has both {' and '.join(sources)}" if sources else "says nothing of the key that signs its tokens"
            raise wrong(what, "write one of secret: ${SCALIX_JWT_SECRET}, jwks_url: https://… and jwks_file: keys.json")
        known = SECRET_ALGORITHMS if self.secret else KEY_SET_ALGORITHMS
        strange = [name for name in self.algorithms or () if name not in known]
        if strange:
            # A public key taken for a secret would let everybody sign.
            raise wrong(f"allows {strange[0]}, which does not go with {sources[0]}", f"write {', '.join(known)}")
        if self.trust_tier and self.tier_claim is None:
            raise wrong("has trust_tier, but no tier_claim", "add tier_claim: with the name of the claim")
        return self


class JwtSection(Section):
    """Whose tokens are believed."""

    issuers: Annotated[list[IssuerSection], Field(min_length=1)]


class AnonymousSection(Section):
    """Callers without a credential, known by their address."""

    enabled: bool = False
    tier: Name
