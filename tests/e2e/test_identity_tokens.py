"""JSON Web Tokens against the whole gateway: what they may do, and every way in which one is refused."""

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from tests.demo_server import DemoServer
from tests.e2e.gateways import JWT_SECRET, KEY_SET_ISSUER, SECRET_ISSUER, Gateway
from tests.service.token_issuer import TokenIssuer, segment

Chat = Callable[..., httpx.Response]


@pytest.fixture
def by_secret() -> TokenIssuer:
    sub = f"bob-{secrets.token_hex(6)}"
    return TokenIssuer(SECRET_ISSUER, secret=JWT_SECRET, now_s=int(time.time()), claims={"sub": sub})


@pytest.fixture
def by_key(by_secret: TokenIssuer) -> TokenIssuer:
    """The other issuer, with a user of the same name."""
    return TokenIssuer(KEY_SET_ISSUER, "EdDSA", "e2e", now_s=by_secret.now_s, claims=by_secret.claims)


@pytest.fixture
def chat(gateway: Gateway, marker: str) -> Chat:
    def ask(token: str, **body: Any) -> httpx.Response:
        messages = [{"role": "user", "content": f"{marker} [[demo words=3]]"}]
        with gateway.client(token) as client:
            return client.post(
                "/v1/chat/completions", json={"model": "free-gemini-flash", "messages": messages, **body}
            )

    return ask


def requests_of(http: httpx.Client, user_id: str) -> int:
    answer = http.get("/user/info", params={"user_id": user_id})
    return int(answer.json()["usage"]["requests_today"]) if answer.status_code == 200 else 0


def test_the_openai_sdk_takes_a_token_for_a_key(gateway: Gateway, by_secret: TokenIssuer, http: httpx.Client) -> None:
    messages: Any = [{"role": "user", "content": "Say hello. [[demo words=3]]"}]
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=by_secret.token(), max_retries=0) as client:
        assert client.chat.completions.create(model="free-gemini-flash", messages=messages).usage
        assert {model.id.partition("-")[0] for model in client.models.list()} == {"free"}
    assert requests_of(http, f"a:{by_secret.claims['sub']}") == 1


def test_one_sub_of_two_issuers_is_charged_apart(
    chat: Chat, http: httpx.Client, by_secret: TokenIssuer, by_key: TokenIssuer
) -> None:
    for _ in range(2):
        assert chat(by_secret.token()).status_code == 200
    answer = chat(by_key.token())
    assert answer.headers["x-ratelimit-remaining-requests"] == "9"
    sub = by_secret.claims["sub"]
    assert (requests_of(http, f"a:{sub}"), requests_of(http, f"b:{sub}"), requests_of(http, sub)) == (2, 1, 0)


def test_a_body_that_names_another_user_changes_nothing(
    chat: Chat, http: httpx.Client, by_secret: TokenIssuer, new_user: Callable[..., str]
) -> None:
    other = new_user()
    assert chat(by_secret.token(), user=other).status_code == 200
    assert requests_of(http, other) == 0
    assert requests_of(http, f"a:{by_secret.claims['sub']}") == 1


def test_a_tier_claim_counts_from_the_trusted_issuer_only(
    chat: Chat, by_secret: TokenIssuer, by_key: TokenIssuer
) -> None:
    assert chat(by_secret.token(tier="premium"), model="gpt-4").status_code == 403
    assert chat(by_key.token(tier="premium"), model="gpt-4").status_code == 200


def test_no_token_opens_an_operators_route(gateway: Gateway, by_key: TokenIssuer) -> None:
    with gateway.client(by_key.token(tier="premium", role="admin", admin=True)) as client:
        for path in ("/user/new", "/scalix/v1/tokens/revoke", "/scalix/v1/merge"):
            assert client.post(path, json={"user_id": "eve"}).status_code == 403


def test_every_bad_token_gets_the_answer_of_any_wrong_key_and_reaches_nothing(
    gateway: Gateway,
    chat: Chat,
    http: httpx.Client,
    by_secret: TokenIssuer,
    by_key: TokenIssuer,
    demo_server: DemoServer,
    marker: str,
) -> None:
    good, now_s = by_key.token(), by_key.now_s
    assert chat(good).status_code == 200
    header, payload, signature = good.split(".")
    other_key = TokenIssuer(KEY_SET_ISSUER, "EdDSA", "another", now_s=now_s, claims=by_key.claims)
    confused = TokenIssuer(KEY_SET_ISSUER, "HS256", "e2e", secret=JWT_SECRET, now_s=now_s, claims=by_key.claims)
    bad = {
        "alg none": f"{segment({'alg': 'none'})}.{payload}.",
        "HS256 for a key set": confused.token(),
        "wrong aud": by_key.token(aud="another"),
        "wrong iss": by_key.token(iss="https://issuer-c.test"),
        "the other issuer's iss": by_key.token(iss=SECRET_ISSUER),
        "missing exp": by_key.token(exp=...),
        "expired": by_secret.token(exp=now_s - 60),
        "future nbf": by_secret.token(nbf=now_s + 300),
        "unknown kid": other_key.token(),
        "another key under a known kid": other_key.token(headers={"kid": "e2e"}),
        "same first characters": f"{header}.{payload}.{signature[:-6]}AAAAAA",
        "another payload": f"{header}.{segment(by_key.payload(sub='eve'))}.{signature}",
        "oversized": by_secret.token(padding="x" * 20_000),
        "garbage": "eyJ.eyJ.x",
    }
    answers = {name: chat(token) for name, token in bad.items()}
    wrong = chat("sk-wrong")
    assert {name: answer.status_code for name, answer in answers.items()} == dict.fromkeys(bad, 401)
    assert {answer.text for answer in answers.values()} == {wrong.text}
    assert {tuple(sorted(answer.headers)) for answer in answers.values()} == {tuple(sorted(wrong.headers))}
    assert len(demo_server.requests(contains=marker, settled=1)) == 1
    assert requests_of(http, f"b:{by_key.claims['sub']}") == 1
    log = gateway.log_text()
    assert "tokens refused" in log
    assert not any(part in log for token in bad.values() for part in token.split(".") if len(part) > 20)


@pytest.mark.parametrize("by_jti", [True, False], ids=["jti", "user"])
def test_a_revoked_token_is_refused_from_the_next_request_on(
    gateway: Gateway, chat: Chat, http: httpx.Client, by_secret: TokenIssuer, by_jti: bool
) -> None:
    token, other = by_secret.token(jti="one"), by_secret.token(jti="two")
    user_id = f"a:{by_secret.claims['sub']}"
    assert chat(token).status_code == 200
    body = {"user_id": user_id, **({"jti": "one"} if by_jti else {})}
    answer = http.post("/scalix/v1/tokens/revoke", json=body)
    assert answer.json() == {"user_id": user_id, "revoked": "one" if by_jti else "all"}
    assert chat(token).status_code == 401
    with gateway.client(token) as client:
        assert client.get("/v1/models").status_code == 401
    assert chat(other).status_code == (200 if by_jti else 401)
    assert requests_of(http, user_id) == (2 if by_jti else 1)
    assert chat(by_secret.token(iat=by_secret.now_s + 20)).status_code == 200
