"""JSON Web Tokens (RFC 7519) as credentials, by the rules of RFC 8725."""

import hashlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from scalix.domain.bounded import Bounded
from scalix.domain.errors import InvalidApiKey, KeysUnavailable
from scalix.domain.identity.identity import Issuer
from scalix.domain.identity.subjects import Subject
from scalix.domain.identity.token_claims import TokenClaims, is_revoked
from scalix.service.identity.callers import THE_OPERATOR, Caller
from scalix.service.identity.identity import UNDECIDED, WRONG_KEY, Credential, Undecided
from scalix.service.identity.key_sets import Keys, KeySetKeys, SecretKey, mark_of
from scalix.service.identity.token_reading import Refused, claims_of, decoded, is_token, read_unverified
from scalix.service.identity.users import UserDirectory
from scalix.store.key_set_sources import KeptCopy, KeySetFile, KeySetUnavailable, KeySetUrl

MAX_TOKEN_CHARS = 8_192
CACHED_TOKENS = 10_000
COPIES = "jwks"  # of key sets, within the state directory
RETRY_WITHOUT_KEYS_S = 10
REFRESH_EVERY_S = 15.0
_LOG_EVERY_MS = 1_000

KeysOf = Callable[[Issuer, Callable[[], None]], Keys]

log = logging.getLogger("scalix.tokens")


class JsonWebTokens:
    """JSON Web Tokens, as a `CredentialKind`. Signatures are checked on the event loop: each takes less than 0.2 ms.

    What was verified is kept until the token ends, by the SHA-256 of the whole token. `forget` drops it all: it must be
    called when an issuer's keys change. `keys_of` gives the keys of an issuer, and is told what to call then.
    """

    def __init__(
        self,
        users: UserDirectory,
        *,
        now_ms: Callable[[], int],
        cached_tokens: int = CACHED_TOKENS,
        keys_of: KeysOf | None = None,
    ) -> None:
        self._users = users
        self._now_ms = now_ms
        self._keys_of = keys_of
        self._issuers: dict[str, tuple[Issuer, Keys]] = {}
        self._cached_tokens = cached_tokens
        self._verified: Bounded[bytes, TokenClaims] = Bounded(cached_tokens)
        self._refusals = _RefusalLog(now_ms)

    def trust(self, issuer: Issuer, keys: Keys) -> None:
        """Believe an issuer's tokens."""
        self._issuers[issuer.name] = issuer, keys

    def trust_only(self, issuers: Sequence[Issuer]) -> None:
        """Believe the tokens of these issuers from now on, and no others. May be called by another thread."""
        keys_of, before = self._keys_of, self._issuers
        if keys_of is None:
            raise TypeError("nobody says what the keys of an issuer are")
        self._issuers = {
            issuer.name: known
            if (known := before.get(issuer.name)) and known[0] == issuer
            else (issuer, keys_of(issuer, self.forget))
            for issuer in issuers
        }
        self.forget()

    def forget(self) -> None:
        """Verify every token anew."""
        # Not cleared: what is being verified now, by what held before, goes where nobody looks any more.
        self._verified = Bounded(self._cached_tokens)

    async def refresh(self) -> None:
        """Read the key sets anew that are older than they may be. To be called every few seconds."""
        for _, keys in self._issuers.values():
            await keys.refresh()

    async def caller(self, credential: Credential) -> Caller | None:
        """As `CredentialKind.caller`. Raises also `UserBlocked`, `KeysUnavailable`, `StoreUnavailable`."""
        claims = await self.claims(credential.token or "")
        if claims is None:
            return None
        if self._is_operators(claims):
            raise self._refusal(Refused("operators"))  # it opens the operator's pages, and nothing else
        return await self._as_user(claims)

    async def claims(self, token: str) -> TokenClaims | None:
        """What a right token says; `None` for what is no token. Raises `InvalidApiKey`, `KeysUnavailable`."""
        if not is_token(token):
            return None
        try:
            return await self._claims(token)
        except Refused as refused:
            raise self._refusal(refused) from None
        except KeySetUnavailable as fault:
            message = "Tokens can't be checked right now. Try again shortly."
            raise KeysUnavailable(message, retry_after_s=RETRY_WITHOUT_KEYS_S, reason=str(fault)) from None

    async def holder(self, claims: TokenClaims) -> Caller:
        """Who has shown a token that said this, in the pages, by what holds now. Raises as `caller` does."""
        found = self._issuers.get(claims.issuer)
        if found is None:
            raise self._refusal(Refused("issuer"))
        if not await found[1].has(claims.key):
            raise self._refusal(Refused("key"))
        if not self._is_operators(claims):
            return await self._as_user(claims, fresh=True)
        if claims.ends_ms <= self._now_ms():
            raise self._refusal(Refused("expired"))
        return replace(THE_OPERATOR, subject=Subject("operator", claims.user_id))

    def _is_operators(self, claims: TokenClaims) -> bool:
        return self._issuers[claims.issuer][0].operators

    def known(self, credential: Credential) -> Undecided | None:
        """See `CredentialKind`."""
        return UNDECIDED if credential.token and is_token(credential.token) else None

    async def _as_user(self, claims: TokenClaims, *, fresh: bool = False) -> Caller:
        """The caller that the token is of, by the user's record. Admission compares its version, so that what is
        revoked holds for the next request without a round trip of its own."""
        record = await self._users.record(claims.user_id, fresh=fresh)
        revoked = is_revoked(claims, record.tokens_valid_after_ms, record.revoked_tokens)
        if (revoked or record.blocked) and not fresh:
            return await self._as_user(claims, fresh=True)
        refused = "revoked" if revoked else "expired" if claims.ends_ms <= self._now_ms() else ""
        if refused:
            raise self._refusal(Refused(refused), f"user:{claims.user_id}")
        caller = self._users.caller_of(record, claimed_tier=claims.tier)
        return replace(caller, reread=partial(self._as_user, claims, fresh=True))

    async def _claims(self, token: str) -> TokenClaims:
        if len(token) > MAX_TOKEN_CHARS:
            raise Refused("too-long")
        key = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._verified
        known = verified.used(key)
        if known is None:
            known = verified[key] = await self._verify(token)
        if known.ends_ms <= self._now_ms():
            verified.pop(key, None)
            raise Refused("expired")
        return known

    async def _verify(self, token: str) -> TokenClaims:
        kid, algorithm, name = read_unverified(token)
        found = self._issuers.get(name)
        if found is None:
            raise Refused("issuer")
        issuer, keys = found
        if algorithm not in issuer.algorithms:
            raise Refused("algorithm")
        key = await keys.key(kid, algorithm)
        if key is None:
            raise Refused("key")
        claims = claims_of(decoded(token, key, algorithm, issuer), issuer, self._now_ms())
        return replace(claims, key=mark_of(key))

    def _refusal(self, refused: Refused, who: str = "") -> InvalidApiKey:
        """The client's error. `who` is said of tokens that an issuer has signed, and of no other."""
        self._refusals.note(str(refused))
        return InvalidApiKey(WRONG_KEY, reason=f"token-{refused}", who=who)


def tokens_of(
    issuers: Sequence[Issuer],
    users: UserDirectory,
    *,
    secrets: Mapping[str, str],
    state_dir: Path,
    now_ms: Callable[[], int],
) -> JsonWebTokens:
    """The tokens of `issuers`. `secrets` holds the variables that they name."""
    keys_of = partial(_keys, secrets=secrets, state_dir=state_dir, now_ms=now_ms)
    tokens = JsonWebTokens(users, now_ms=now_ms, keys_of=keys_of)
    tokens.trust_only(issuers)
    return tokens


def _keys(
    issuer: Issuer,
    changed: Callable[[], None],
    *,
    secrets: Mapping[str, str],
    state_dir: Path,
    now_ms: Callable[[], int],
) -> Keys:
    if issuer.secret_variable is not None:
        return SecretKey(secrets[issuer.secret_variable].encode())
    url = issuer.jwks_url
    source = KeySetFile(Path(issuer.jwks_file or "")) if url is None else KeySetUrl(url)
    copy = None if url is None else KeptCopy(state_dir / COPIES, url)
    return KeySetKeys(source, refresh_s=issuer.refresh_s, now_ms=now_ms, copy=copy, changed=changed)


class _RefusalLog:
    """Says why tokens were refused, in one line a second at most: strangers must not fill the disk."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self._now_ms = now_ms
        self._counts: Counter[str] = Counter()
        self._said_ms = 0

    def note(self, reason: str) -> None:
        self._counts[reason] += 1
        now_ms = self._now_ms()
        if now_ms - self._said_ms >= _LOG_EVERY_MS:
            reasons = ", ".join(f"{reason} ({count})" for reason, count in sorted(self._counts.items()))
            log.info("tokens refused: %s", reasons)
            self._counts.clear()
            self._said_ms = now_ms
