"""The claims of a verified token, and whether it was revoked."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

MAX_REVOKED_TOKENS = 64
# Longer than any leeway of an issuer.
_KEPT_AFTER_END_MS = 600_000


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """A token whose signature, issuer and audience are right. `user_id` includes the issuer's prefix.

    `tier` is `None` unless the issuer may set it. `token` is the digest of the `jti`. `issued_ms` and `ends_ms` are
    Unix time, the latter with the leeway. `key` is a mark of the issuer's key that has signed it.
    """

    issuer: str
    user_id: str
    tier: str | None
    token: str | None
    issued_ms: int | None
    ends_ms: int
    key: str = ""


def digest_of_jti(jti: str) -> str:
    """A short digest of a `jti`, under which a revoked token is listed."""
    return sha256(jti.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_revoked(claims: TokenClaims, valid_after_ms: int, revoked: Mapping[str, int]) -> bool:
    """Whether the token was revoked itself, or with all tokens issued to its user until `valid_after_ms`.

    A token that does not say when it was issued counts as older than that.
    """
    if claims.token is not None and claims.token in revoked:
        return True
    return valid_after_ms > 0 and (claims.issued_ms is None or claims.issued_ms <= valid_after_ms)


def with_revoked(revoked: Mapping[str, int], token: str, ends_s: int, now_ms: int) -> dict[str, int] | None:
    """Add a token to `revoked`, and remove those that have expired; `None` if there are too many.

    `ends_s` is the Unix time at which the token expires, 0 if that is unknown.
    """
    kept = {known: end for known, end in revoked.items() if not end or end * 1000 + _KEPT_AFTER_END_MS > now_ms}
    kept[token] = ends_s
    return kept if len(kept) <= MAX_REVOKED_TOKENS else None
