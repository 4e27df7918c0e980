"""Whose tokens are believed, who may come without any, and which proxies are."""

from dataclasses import dataclass

from scalix.domain.identity.addresses import Network

SECRET_ALGORITHMS = ("HS256",)
KEY_SET_ALGORITHMS = ("RS256", "ES256", "EdDSA")
LEAST_SECRET_BYTES = 32
DEFAULT_LEEWAY_S = 30
DEFAULT_REFRESH_S = 600


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer of JSON Web Tokens: its secret is in the variable `secret_variable`, or its key set at the address
    `jwks_url` or in the file `jwks_file`.

    `user_prefix` stands before the claimed user's name, so that two issuers' users of one name are two users.
    `tier_claim` of `None`: a token says nothing of its tier. `leeway_s` is what clocks may differ by; the key set is
    read anew every `refresh_s`.
    """

    name: str
    audiences: tuple[str, ...]
    algorithms: tuple[str, ...]
    secret_variable: str | None = None
    jwks_url: str | None = None
    jwks_file: str | None = None
    user_claim: str = "sub"
    tier_claim: str | None = None
    user_prefix: str = ""
    leeway_s: int = DEFAULT_LEEWAY_S
    refresh_s: int = DEFAULT_REFRESH_S


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Who may call besides the operator and the holders of virtual keys. `anonymous_tier` of `None`: nobody."""

    issuers: tuple[Issuer, ...] = ()
    anonymous_tier: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
