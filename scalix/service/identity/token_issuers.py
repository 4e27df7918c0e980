"""Puts together the issuers of tokens that the operator trusts."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from scalix.domain.identity.identity import Issuer
from scalix.service.identity.key_sets import Keys, KeySetKeys, SecretKey
from scalix.service.identity.tokens import JsonWebTokens
from scalix.service.identity.users import UserDirectory
from scalix.store.key_set_sources import KeptCopy, KeySetFile, KeySetUrl

COPIES = "jwks"  # within the state directory


def tokens_of(
    issuers: Sequence[Issuer],
    users: UserDirectory,
    *,
    secrets: Mapping[str, str],
    state_dir: Path,
    now_ms: Callable[[], int],
) -> JsonWebTokens:
    """The tokens of `issuers`. `secrets` holds the variables that they name."""
    tokens = JsonWebTokens(users, now_ms=now_ms)
    for issuer in issuers:
        tokens.trust(issuer, _keys(issuer, tokens, secrets, state_dir, now_ms))
    return tokens


def _keys(
    issuer: Issuer, tokens: JsonWebTokens, secrets: Mapping[str, str], state_dir: Path, now_ms: Callable[[], int]
) -> Keys:
    if issuer.secret_variable is not None:
        return SecretKey(secrets[issuer.secret_variable].encode())
    url = issuer.jwks_url
    source = KeySetFile(Path(issuer.jwks_file or "")) if url is None else KeySetUrl(url)
    copy = None if url is None else KeptCopy(state_dir / COPIES, url)
    return KeySetKeys(source, refresh_s=issuer.refresh_s, now_ms=now_ms, copy=copy, changed=tokens.forget)
