"""What a JSON Web Token says, if its issuer has signed it and its times are right."""

import json
import logging
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import Any

import jwt

from scalix.domain.identity.identity import Issuer
from scalix.domain.identity.subjects import RESERVED_PREFIXES
from scalix.domain.identity.token_claims import TokenClaims, digest_of_jti
from scalix.domain.identity.user_ids import MAX_USER_ID_CHARS
from scalix.service.identity.key_sets import VerifyKey

# A time beyond it is no time: it would overflow what we count in.
_LATEST_S = 10**11
# Times are checked here, by our own clock, because a token that is cached must be checked again.
_OPTIONS: Any = {
    "require": ["iss", "aud", "exp"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}

log = logging.getLogger("scalix.tokens")


class Refused(Exception):
    """A token does not count. `args[0]` is a code for the log; a client is not told it."""


def is_token(text: str) -> bool:
    """Whether it looks like a JWT."""
    return text.count(".") == 2 and text.startswith("ey")


def read_unverified(token: str) -> tuple[str | None, str, str]:
    """Key name, algorithm and issuer as the token claims them: they only choose what it is checked against."""
    header_text, payload_text, _ = token.split(".")
    header, payload = _object(header_text), _object(payload_text)
    kid, algorithm, issuer = header.get("kid"), header.get("alg"), payload.get("iss")
    if not isinstance(algorithm, str) or not isinstance(issuer, str) or not (kid is None or isinstance(kid, str)):
        raise Refused("malformed")
    return kid, algorithm, issuer


def _object(text: str) -> Mapping[str, Any]:
    # Not by PyJWT: a wrong token must cost little, and that takes several times as many calls.
    try:
        found = json.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        raise Refused("malformed") from None
    if not isinstance(found, dict):
        raise Refused("malformed")
    return found


def decoded(token: str, key: VerifyKey, algorithm: str, issuer: Issuer) -> Mapping[str, Any]:
    """The claims of a token with the right signature, issuer and audience. Raises `Refused`."""
    try:
        return jwt.decode(
            token, key, algorithms=[algorithm], audience=issuer.audiences, issuer=issuer.name, options=_OPTIONS
        )
    except jwt.InvalidSignatureError:
        raise Refused("signature") from None
    except jwt.InvalidAudienceError:
        raise Refused("audience") from None
    except jwt.MissingRequiredClaimError:
        raise Refused("missing-claim") from None
    except jwt.PyJWTError:
        raise Refused("malformed") from None
    except Exception as error:  # what a stranger wrote must not become an error of ours
        log.warning("a token could not be read: %s", type(error).__name__)
        raise Refused("malformed") from None


def claims_of(payload: Mapping[str, Any], issuer: Issuer, now_ms: int) -> TokenClaims:
    """What the claims of an issuer's token mean here. Raises `Refused`."""
    leeway_ms = issuer.leeway_s * 1000
    issued_ms, begins_ms = _time_ms(payload, "iat"), _time_ms(payload, "nbf")
    if max(issued_ms or 0, begins_ms or 0) > now_ms + leeway_ms:
        raise Refused("not-yet")
    ends_ms = _time_ms(payload, "exp")
    if ends_ms is None:
        raise Refused("missing-claim")
    user, jti = payload.get(issuer.user_claim), payload.get("jti")
    if not isinstance(user, str) or not user.strip() or not (jti is None or isinstance(jti, str)):
        raise Refused("user-claim")
    user_id = issuer.user_prefix + user
    if len(user_id) > MAX_USER_ID_CHARS or not user_id.isprintable() or user_id.startswith(RESERVED_PREFIXES):
        raise Refused("user-claim")
    tier = payload.get(issuer.tier_claim) if issuer.tier_claim is not None else None
    return TokenClaims(
        issuer=issuer.name,
        user_id=user_id,
        tier=tier if isinstance(tier, str) else None,
        token=None if jti is None else digest_of_jti(jti),
        issued_ms=issued_ms,
        ends_ms=ends_ms + leeway_ms,
    )


def _time_ms(payload: Mapping[str, Any], claim: str) -> int | None:
    """A NumericDate in ms; `None` for a claim that is not there."""
    value = payload.get(claim)
    if value is None:
        return None
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= _LATEST_S:
        raise Refused("time")  # NaN is no less than anything
    return int(value * 1000)
