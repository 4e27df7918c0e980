"""What a verified token says, and whether it still counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

MAX_REVOKED_TOKENS = 64
# Longer than any leeway that an issuer's tokens can have after their end.
_KEPT_AFTER_END_MS = 600_000


@dataclass(frozen=True, slots=True)
class TokenClaims:
    """One token whose signature, issuer and audience are right. `user_id` has the issuer's prefix before it.

    `tier` is `None` unless the issuer may say it. `token` is the digest of the `jti`; `issued_ms` and `ends_ms`, the
    latter with the leeway, are Unix time.
    """

    issuer: str
    user_id: str
    tier: str | None
    token: str | None
    issued_ms: int | None
    ends_ms: int


def digest_of_jti(jti: str) -> str:
    """By which a revoked token is known: as short for every `jti`."""
    return sha256(jti.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def is_revoked(claims: TokenClaims, valid_after_ms: int, revoked: Mapping[str, int]) -> bool:
    """Whether the token was revoked by itself, or with all that its user had at some time.

    One that does not say when it was issued may be as old as any.
    """
    if claims.token is not None and claims.token in revoked:
        return True
    return valid_after_ms > 0 and (claims.issued_ms is None or claims.issued_ms <= valid_after_ms)


def with_revoked(revoked: Mapping[str, int], token: str, ends_s: int, now_ms: int) -> dict[str, int] | None:
    """`revoked` with one more token, without those that have ended by themselves; `None` if that is too many.

    `ends_s` is the Unix time from which on the token can't be used anyway; 0 where that is not known.
    """
    kept = {known: end for known, end in revoked.items() if not end or end * 1000 + _KEPT_AFTER_END_MS > now_ms}
    kept[token] = ends_s
    return kept if len(kept) <= MAX_REVOKED_TOKENS else None
