"""Which tokens count, and which never do, whatever they look like."""

import asyncio
import base64
import hashlib
import hmac
import json
import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from scalix.domain.errors import InvalidApiKey, KeysUnavailable, UserBlocked
from scalix.domain.identity.identity import Issuer
from scalix.service.administration.token_revocation import Revoke, Revoked
from scalix.service.identity.identity import WRONG_KEY, Credential
from scalix.service.identity.key_sets import KeySetKeys, SecretKey
from scalix.service.identity.tokens import MAX_TOKEN_CHARS, JsonWebTokens
from scalix.store.base import UserRecord
from tests.service.token_issuer import AUDIENCE, ISSUER, SECRET, TokenIssuer, key_set, private_key, public_jwk, segment
from tests.service.token_rig import BY, MASTER, OTHER, TokenRig


@pytest.fixture
def rig() -> TokenRig:
    return TokenRig()


async def refused(rig: TokenRig, token: str) -> None:
    """The token is refused, in the words of every other wrong credential."""
    with pytest.raises(InvalidApiKey) as caught:
        await rig.caller(token)
    assert caught.value.message == WRONG_KEY
    assert not caught.value.details


def signed(header: object, payload: object, secret: bytes = SECRET.encode(), digest: Any = hashlib.sha256) -> str:
    """A token with the right HMAC over whatever its parts are."""
    text = f"{segment(header)}.{segment(payload)}"
    mac = hmac.digest(secret, text.encode(), digest)
    return f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


async def test_a_right_token_is_its_user(rig: TokenRig) -> None:
    caller = await rig.caller(rig.issuer.token())
    assert str(caller.subject) == "user:a:bob"
    assert caller.tier is not None
    assert (caller.tier.name, caller.may_name_users) == ("free", False)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
async def test_each_kind_of_public_key_is_understood(rig: TokenRig, algorithm: str) -> None:
    rig.publisher.raw = key_set(public_jwk(algorithm, "one"))
    assert str((await rig.caller(TokenIssuer(OTHER, algorithm, "one").token())).subject) == "user:b:bob"


async def test_one_sub_of_two_issuers_is_two_users(rig: TokenRig) -> None:
    first, second = await rig.caller(rig.issuer.token()), await rig.caller(rig.other.token())
    assert first.subject != second.subject


async def test_the_master_key_is_still_the_operator(rig: TokenRig) -> None:
    assert (await rig.caller(MASTER)).may_name_users


@pytest.mark.parametrize("name", ["none", "None", "NONE", ""])
async def test_a_token_without_signature_is_refused(rig: TokenRig, name: str) -> None:
    for issuer in (rig.issuer, rig.other):
        header, payload = segment({"alg": name, "typ": "JWT"}), segment(issuer.payload())
        await refused(rig, f"{header}.{payload}.")
        await refused(rig, f"{header}.{payload}.{issuer.token().split('.')[2]}")


async def test_a_public_key_used_as_a_shared_secret_is_refused(rig: TokenRig) -> None:
    public = private_key("RS256", "one").public_key()
    raw = serialization.Encoding, serialization.PublicFormat
    forms = [
        public.public_bytes(raw[0].PEM, raw[1].SubjectPublicKeyInfo),
        public.public_bytes(raw[0].DER, raw[1].SubjectPublicKeyInfo),
        json.dumps(public_jwk("RS256", "one")).encode(),
        b"",
    ]
    for form in forms:
        await refused(rig, signed({"alg": "HS256", "kid": "one"}, rig.other.payload(), form))


async def test_another_key_type_than_the_issuers_is_refused(rig: TokenRig) -> None:
    await refused(rig, TokenIssuer(rig.issuer.issuer, "RS256", "one").token())
    await refused(rig, TokenIssuer(OTHER, "HS256").token())
    for algorithm, digest in (("HS384", hashlib.sha384), ("HS512", hashlib.sha512)):
        await refused(rig, signed({"alg": algorithm, "typ": "JWT"}, rig.issuer.payload(), digest=digest))
    for algorithm in ("RS512", "PS256"):
        key: Any = private_key("RS256", "one")
        await refused(rig, jwt.encode(rig.other.payload(), key, algorithm, headers={"kid": "one"}))


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": ["another", "third"]},
        {"aud": []},
        {"aud": ...},
        {"aud": {"scalix": 1}},
        {"iss": "https://issuer-c.test"},
        {"iss": ...},
        {"iss": OTHER},
        {"exp": ...},
        {"exp": None},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": math.inf},
        {"exp": math.nan},
        {"exp": 10**30},
        {"exp": 0},
        {"exp": -1},
        {"sub": ...},
        {"sub": ""},
        {"sub": "  "},
        {"sub": 7},
        {"sub": "line\nend"},
        {"sub": "\ud800"},
        {"sub": "x" * 255},
        {"jti": 7},
        {"nbf": "soon"},
        {"iat": "now"},
    ],
    ids=str,
)
async def test_wrong_claims_are_refused(rig: TokenRig, claims: dict[str, Any]) -> None:
    payload = rig.issuer.payload(**claims)
    await refused(rig, signed({"alg": "HS256", "typ": "JWT"}, payload))


async def test_a_list_of_audiences_with_ours_in_it_is_right(rig: TokenRig) -> None:
    await rig.caller(rig.issuer.token(aud=["another", "scalix"]))


async def test_times_hold_with_a_small_leeway(rig: TokenRig) -> None:
    now_s = rig.issuer.now_s
    await rig.caller(rig.issuer.token(exp=now_s - 29))
    await rig.caller(rig.issuer.token(nbf=now_s + 29))
    await refused(rig, rig.issuer.token(exp=now_s - 30))
    await refused(rig, rig.issuer.token(nbf=now_s + 31))
    await refused(rig, rig.issuer.token(iat=now_s + 31))


async def test_a_token_that_has_been_verified_ends_all_the_same(rig: TokenRig) -> None:
    token = rig.issuer.token()
    await rig.caller(token)
    rig.now_ms += 629_999
    await rig.caller(token)
    rig.now_ms += 1
    await refused(rig, token)


async def test_a_token_with_the_first_characters_of_a_good_one_is_refused(rig: TokenRig) -> None:
    for issuer in (rig.issuer, rig.other):
        good = issuer.token()
        await rig.caller(good)
        header, payload, signature = good.split(".")
        other = "A" if signature[20] != "A" else "B"
        await refused(rig, f"{header}.{payload}.{signature[:20]}{other}{signature[21:]}")
        await refused(rig, f"{header}.{payload}.{signature[:-4]}")
        await refused(rig, f"{header}.{segment(issuer.payload(sub='eve'))}.{signature}")
        await refused(rig, good + "A")


@pytest.mark.parametrize(
    "token",
    [
        "ey",
        "ey..",
        "eyJhbGciOiJIUzI1NiJ9..",
        "ey.ey.ey",
        "eyJ!.$$$.###",
        "ey\ud800.ey.ey",
        f"{segment([])}.{segment([])}.",
        f"ey{segment(1)}.{segment(1)}.x",
        "eyJhbGciOiJIUzI1NiJ9." + base64.urlsafe_b64encode(b"[" * 5000).decode() + ".x",
        signed({"alg": "HS256", "kid": 7}, TokenIssuer().payload()),
        signed({"alg": ["HS256"]}, TokenIssuer().payload()),
        signed({"typ": "JWT"}, TokenIssuer().payload()),
        signed({"alg": "HS256", "crit": ["unheard-of"]}, TokenIssuer().payload()),
        signed({"alg": "HS256", "b64": False, "crit": ["b64"]}, TokenIssuer().payload()),
        "' OR 1=1 --",
    ],
)
async def test_garbage_is_refused(rig: TokenRig, token: str) -> None:
    await refused(rig, token)


async def test_keys_that_a_token_brings_along_are_not_used(rig: TokenRig) -> None:
    mine = public_jwk("RS256", "mine")
    forged = TokenIssuer(OTHER, "RS256", "mine")
    for header in ({"jwk": mine}, {"jku": "http://127.0.0.1:9/keys"}, {"x5u": "http://127.0.0.1:9/x"}, {"kid": "one"}):
        await refused(rig, forged.token(headers=header))


async def test_an_oversized_token_is_refused_unread(rig: TokenRig) -> None:
    await refused(rig, rig.issuer.token(padding="x" * MAX_TOKEN_CHARS))


async def test_refusals_say_why_in_the_log_only_and_never_the_token(
    rig: TokenRig, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "scalix.tokens")
    token = rig.issuer.token(aud="another", sub="canary-7f3a")
    for _ in range(100):
        await refused(rig, token)
    assert [record.getMessage() for record in caplog.records] == ["tokens refused: audience (1)"]
    rig.now_ms += 1_000
    await refused(rig, token)
    assert caplog.records[-1].getMessage() == "tokens refused: audience (100)"


async def test_what_is_remembered_of_tokens_is_bounded(rig: TokenRig) -> None:
    for number in range(60):
        await rig.caller(rig.issuer.token(sub=f"user-{number}"))
        await refused(rig, rig.issuer.token(sub=f"user-{number}", aud="another"))
    assert len(rig.tokens._verified) == 50


async def test_a_known_token_of_a_known_user_takes_no_round_trip(rig: TokenRig) -> None:
    token = rig.issuer.token()
    await rig.caller(token)
    reads = rig.store.reads
    for _ in range(10):
        await rig.caller(token)
    assert rig.store.reads == reads


# tiers


async def test_a_tier_claim_counts_only_where_the_issuer_may_set_it(rig: TokenRig) -> None:
    for issuer, tier in ((rig.issuer, "free"), (rig.other, "pro")):
        caller = await rig.caller(issuer.token(plan="pro", tier="pro"))
        assert caller.tier is not None
        assert caller.tier.name == tier


@pytest.mark.parametrize("plan", ["gold", "", 7, ["pro"], None])
async def test_a_tier_that_is_not_configured_is_the_default_one(rig: TokenRig, plan: object) -> None:
    caller = await rig.caller(rig.other.token(plan=plan))
    assert caller.tier is not None
    assert caller.tier.name == "free"


async def test_what_the_operator_has_written_beats_a_claim(rig: TokenRig) -> None:
    await rig.store.create(UserRecord("b:bob", tier="free"))
    caller = await rig.caller(rig.other.token(plan="pro"))
    assert caller.tier is not None
    assert caller.tier.name == "free"


async def test_a_claimed_tier_outlives_a_reading_anew(rig: TokenRig) -> None:
    caller = await rig.caller(rig.other.token(plan="pro"))
    assert caller.reread is not None
    again = await caller.reread()
    assert again.tier is not None
    assert (again.tier.name, again.reread is not None) == ("pro", True)


async def test_a_blocked_user_is_blocked_with_a_token_too_until_the_block_is_lifted(rig: TokenRig) -> None:
    record = await rig.store.create(UserRecord("a:bob", blocked=True))
    token = rig.issuer.token()
    with pytest.raises(UserBlocked):
        await rig.caller(token)
    await rig.store.update(UserRecord("a:bob", version=record.version))
    await rig.caller(token)


# revocation


async def test_a_token_revoked_by_its_jti_is_refused_and_no_other(rig: TokenRig) -> None:
    one, two = rig.issuer.token(jti="one"), rig.issuer.token(jti="two")
    caller = await rig.caller(one)
    revoked = await rig.revocation.revoke(Revoke.read({"user_id": "a:bob", "jti": "one"}), BY)
    assert revoked == Revoked(user_id="a:bob", revoked="one")
    await refused(rig, one)
    await rig.caller(two)
    await rig.caller(rig.issuer.token())
    assert caller.reread is not None
    with pytest.raises(InvalidApiKey):
        await caller.reread()


async def test_all_tokens_of_a_user_that_were_issued_before_now_can_be_revoked(rig: TokenRig) -> None:
    before = [rig.issuer.token(jti="one"), rig.issuer.token(iat=...), rig.issuer.token(iat=rig.issuer.now_s)]
    for token in before:
        await rig.caller(token)
    assert (await rig.revocation.revoke(Revoke.read({"user_id": "a:bob"}), BY)).revoked == "all"
    for token in before:
        await refused(rig, token)
    await rig.caller(rig.issuer.token(iat=rig.issuer.now_s + 1))
    await rig.caller(rig.other.token())


async def test_what_another_process_revokes_shows_when_the_record_is_read_anew(rig: TokenRig) -> None:
    caller = await rig.caller(rig.issuer.token(jti="one"))
    elsewhere = TokenRig(store=rig.store)
    await elsewhere.revocation.revoke(Revoke.read({"user_id": "a:bob", "jti": "one"}), BY)
    assert caller.version != (await rig.store.get("a:bob")).version
    assert caller.reread is not None
    with pytest.raises(InvalidApiKey):
        await caller.reread()
    await refused(rig, rig.issuer.token(jti="one"))


async def test_so_many_revoked_tokens_that_they_can_t_be_kept_revoke_all_of_the_user(rig: TokenRig) -> None:
    answers = [
        await rig.revocation.revoke(Revoke.read({"user_id": "a:bob", "jti": str(number)}), BY) for number in range(65)
    ]
    assert [answer.revoked for answer in answers] == ["one"] * 64 + ["all"]
    for number in range(65):
        await refused(rig, rig.issuer.token(jti=str(number)))


async def test_a_revoked_token_is_forgotten_only_when_it_has_ended(rig: TokenRig) -> None:
    exp = rig.issuer.now_s + 600
    await rig.revocation.revoke(Revoke.read({"user_id": "a:bob", "jti": "old", "exp": exp}), BY)
    rig.now_ms += 629_000
    await rig.revocation.revoke(Revoke.read({"user_id": "a:bob", "jti": "new"}), BY)
    await refused(rig, rig.issuer.token(jti="old", exp=exp))
    rig.now_ms += 3_600_000
    await rig.revocation.revoke(Revoke.read({"user_id": "a:bob", "jti": "newer"}), BY)
    assert len((await rig.store.get("a:bob")).revoked_tokens) == 2


# key sets


async def test_the_key_set_is_read_once_for_many_tokens(rig: TokenRig) -> None:
    await asyncio.gather(*(rig.caller(rig.other.token(sub=f"user-{number}")) for number in range(20)))
    assert rig.publisher.reads == 1


async def test_what_was_being_verified_while_all_was_forgotten_is_verified_anew(rig: TokenRig) -> None:
    began, may_end, read = asyncio.Event(), asyncio.Event(), rig.publisher.read

    async def slow() -> bytes:
        began.set()
        await may_end.wait()
        return await read()

    rig.publisher.read = slow  # type: ignore[method-assign]
    asking = asyncio.create_task(rig.caller(rig.other.token()))
    await began.wait()
    rig.tokens.forget()
    may_end.set()
    assert await asking
    assert not rig.tokens._verified


async def test_of_new_issuers_all_count_at_once_and_of_former_ones_none_that_is_not_among_them(rig: TokenRig) -> None:
    first = Issuer(ISSUER, (AUDIENCE,), ("HS256",), secret_variable="SECRET", user_prefix="a:")
    other = Issuer(OTHER, (AUDIENCE,), ("RS256",), jwks_url="https://issuer.example/jwks.json", user_prefix="b:")
    made: list[str] = []

    def keys_of(issuer: Issuer, changed: Callable[[], None]) -> SecretKey | KeySetKeys:
        made.append(issuer.name)
        return SecretKey(SECRET.encode()) if issuer.secret_variable else rig.keys

    tokens = JsonWebTokens(rig.users, now_ms=rig.clock, keys_of=keys_of)
    mine, theirs = Credential(rig.issuer.token()), Credential(rig.other.token())
    tokens.trust_only([first])
    assert await tokens.caller(mine)
    with pytest.raises(InvalidApiKey):
        await tokens.caller(theirs)
    tokens.trust_only([first, other])
    assert await tokens.caller(mine)
    assert await tokens.caller(theirs)
    assert made == [ISSUER, OTHER]  # whose keys were known keeps them
    tokens.trust_only([replace(first, audiences=("another",)), other])
    with pytest.raises(InvalidApiKey):
        await tokens.caller(mine)
    assert await tokens.caller(theirs)
    tokens.trust_only([])
    with pytest.raises(InvalidApiKey):
        await tokens.caller(theirs)


async def test_a_new_key_is_found_at_once_and_an_old_one_ends_with_its_publication(rig: TokenRig) -> None:
    old, new = rig.other.token(), TokenIssuer(OTHER, "RS256", "two").token()
    await rig.caller(old)
    rig.now_ms += 10_000
    rig.publisher.raw = key_set(public_jwk("RS256", "two"))
    await rig.caller(new)
    await refused(rig, old)
    assert rig.publisher.reads == 2


async def test_unknown_keys_make_the_set_be_read_no_more_than_every_ten_seconds(rig: TokenRig) -> None:
    await rig.caller(rig.other.token())
    unknown = TokenIssuer(OTHER, "RS256", "two")
    for _ in range(3):
        rig.now_ms += 10_000
        for number in range(20):
            await refused(rig, unknown.token(sub=f"user-{number}"))
    assert rig.publisher.reads == 4


async def test_a_token_without_key_name_is_right_while_only_one_key_can_be_meant(rig: TokenRig) -> None:
    token = jwt.encode(rig.other.payload(), private_key("RS256", "one"), "RS256")
    await rig.caller(token)
    rig.now_ms += 600_000
    rig.publisher.raw = key_set(public_jwk("RS256", "one"), public_jwk("RS256", "two"))
    await rig.tokens.refresh()
    await refused(rig, token)


@pytest.mark.parametrize("broken", [None, b"", b"not json", b"[]", b'{"keys": []}', b'{"keys": [7]}', b"[" * 100_000])
async def test_the_last_good_keys_hold_while_the_issuer_is_away(rig: TokenRig, broken: bytes | None) -> None:
    await rig.caller(rig.other.token())
    rig.publisher.raw = broken
    rig.now_ms += 600_000
    rig.other.now_s += 600
    await rig.tokens.refresh()
    await rig.caller(rig.other.token())
    assert rig.publisher.reads == 2


async def test_tokens_can_t_be_judged_before_any_keys_are_known(rig: TokenRig) -> None:
    rig.publisher.raw = None
    with pytest.raises(KeysUnavailable):
        await rig.caller(rig.other.token())
    await rig.caller(rig.issuer.token())


@pytest.mark.parametrize(
    "changes",
    [
        {"use": "enc"},
        {"key_ops": ["sign"]},
        {"alg": "RS512"},
        {"kty": "oct", "k": base64.urlsafe_b64encode(SECRET.encode()).decode()},
        {"n": "AQAB"},
        {"kid": 7},
    ],
)
async def test_keys_that_are_not_for_us_are_left_out(rig: TokenRig, changes: dict[str, Any]) -> None:
    rig.publisher.raw = key_set({**public_jwk("RS256", "one"), **changes}, public_jwk("ES256", "two"))
    await refused(rig, rig.other.token())
    await refused(rig, signed({"alg": "HS256", "kid": "one"}, rig.other.payload()))
