"""What is kept of a credential that signs in to the pages, and who it stands for at each view after."""

import hmac
from collections.abc import Collection
from dataclasses import asdict, dataclass
from hashlib import sha256

import orjson

from scalix.domain.errors import InvalidApiKey
from scalix.domain.identity.key_secrets import digest_of
from scalix.domain.identity.token_claims import TokenClaims
from scalix.service.identity.callers import THE_OPERATOR, Caller
from scalix.service.identity.identity import Credential, Identity
from scalix.service.identity.tokens import JsonWebTokens
from scalix.service.identity.users import UserDirectory
from scalix.service.identity.virtual_keys import VirtualKeys
from scalix.store.records.redis_sign_ins import SignIn

NOT_SIGNED_IN = "You are not signed in, or no longer. Sign in again."


@dataclass(frozen=True, slots=True)
class Held:
    """A credential that was shown: its kind, what is kept of it, who it stands for, and when it ends (Unix time), if it
    says so."""

    by: str
    credential: str
    caller: Caller
    ends_ms: int | None = None


@dataclass(frozen=True, eq=False)
class Holders:
    """Judges credentials for the pages. `masters` are the secrets of operators, `key` is what signs cookies."""

    identity: Identity
    keys: VirtualKeys
    tokens: JsonWebTokens
    users: UserDirectory
    masters: Collection[str]

    async def shown(self, credential: Credential, key: bytes) -> Held:
        """A credential as it is shown. Raises what `Identity.authenticate` raises."""
        token = credential.token or ""
        claims = await self.tokens.claims(token)
        if claims is not None:
            kept = orjson.dumps(asdict(claims)).decode()
            return Held("token", kept, await self.tokens.holder(claims), claims.ends_ms)
        caller = await self.identity.authenticate(credential)
        caller = caller if caller.reread is None else await caller.reread()
        if caller.key is not None:
            return Held("key", digest_of(token), caller)
        return Held("master", _mark(token, key), caller)

    async def holder(self, sign_in: SignIn, key: bytes) -> Caller:
        """Who a credential stands for by what holds now: a replaced, blocked or deleted one for nobody. Raises
        `GatewayError`s, `StoreUnavailable`."""
        if sign_in.by == "master":
            if not any(hmac.compare_digest(_mark(secret, key), sign_in.credential) for secret in self.masters):
                raise InvalidApiKey(NOT_SIGNED_IN)
            return THE_OPERATOR
        if sign_in.by == "key":
            return await self.keys.holder(sign_in.credential, sign_in.address)
        if sign_in.by == "token":
            return await self.tokens.holder(TokenClaims(**orjson.loads(sign_in.credential)))
        caller = await self.users.caller(sign_in.subject.removeprefix("user:"), fresh=True)
        if caller.record is not None and caller.record.tokens_valid_after_ms >= sign_in.at_ms:
            raise InvalidApiKey(NOT_SIGNED_IN)  # all tokens of the user were revoked, and what came of links with them
        return caller


def _mark(secret: str, key: bytes) -> str:
    return hmac.digest(key, b"credential:" + secret.encode("utf-8", "surrogatepass"), sha256).hex()
