"""An issuer of tokens for tests: its keys, its key set, and tokens that are right but for what a test changes."""

import base64
import json
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

NOW_S = 1_772_107_200  # 2026-02-26T12:00:00Z
SECRET = "a-shared-secret-for-tests-0123456789abcdef"
ISSUER = "https://issuer-a.test"
AUDIENCE = "scalix"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def private_key(algorithm: str, name: str = "") -> PrivateKey:
    """One key of each name in a test run: making an RSA key takes a while."""
    if algorithm == "RS256":
        return rsa.generate_private_key(65537, 2048)
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(algorithm: str, kid: str, **changes: Any) -> dict[str, Any]:
    """The public key of this name as it is published."""
    public: Any = private_key(algorithm, kid).public_key()
    made: dict[str, Any] = jwt.get_algorithm_by_name(algorithm).to_jwk(public, as_dict=True)
    return {**made, "kid": kid, "use": "sig", "alg": algorithm, **changes}


def key_set(*keys: dict[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


def segment(value: object) -> str:
    """One part of a token, of anything that is JSON."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@dataclass
class TokenIssuer:
    """Signs tokens. A claim or header given as `...` is left out."""

    issuer: str = ISSUER
    algorithm: str = "HS256"
    kid: str | None = None
    secret: str = SECRET
    now_s: int = NOW_S
    claims: dict[str, Any] = field(default_factory=dict)

    def payload(self, **changes: Any) -> dict[str, Any]:
        whole = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": "bob",
            "iat": self.now_s - 10,
            "exp": self.now_s + 600,
            **self.claims,
            **changes,
        }
        return {name: value for name, value in whole.items() if value is not ...}

    def token(self, *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
        key: Any = self.secret if self.algorithm == "HS256" else private_key(self.algorithm, self.kid or "")
        named = {} if self.kid is None else {"kid": self.kid}
        return jwt.encode(self.payload(**changes), key, self.algorithm, headers={**named, **(headers or {})})
