"""The settings of identity: trusted token issuers, anonymous callers, trusted proxies."""

from dataclasses import dataclass

from scalix.domain.identity.addresses import Network

SECRET_ALGORITHMS = ("HS256",)
KEY_SET_ALGORITHMS = ("RS256", "ES256", "EdDSA")
LEAST_SECRET_BYTES = 32
DEFAULT_LEEWAY_S = 30
DEFAULT_REFRESH_S = 600


@dataclass(frozen=True, slots=True)
class Issuer:
    """One issuer of JSON Web Tokens. Its secret is in the environment variable `secret_variable`, or its key set is at
    the URL `jwks_url` or in the file `jwks_file`.

    `user_prefix` is put before the claimed user name, so that users of two issuers never share a name. `tier_claim` is
    the claim with the tier; `None`: tokens have none. `leeway_s` is how far clocks may differ. The key set is fetched
    again every `refresh_s`. With `operators` its tokens sign operators in to the pages, and open nothing else.
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
    operators: bool = False


@dataclass(frozen=True, slots=True)
class IdentitySettings:
    """Who may call besides the operator and the holders of virtual keys. `anonymous_tier` is `None` if nobody may call
    without a credential."""

    issuers: tuple[Issuer, ...] = ()
    anonymous_tier: str | None = None
    trusted_proxies: tuple[Network, ...] = ()
