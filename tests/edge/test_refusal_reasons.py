"""Why a credential was refused stands in the audit log, and nowhere in the answer; the credential in neither."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scalix.service.administration.key_administration import new_secret
from tests.edge.key_rig import act, made, with_key
from tests.edge.limits_rig import CONFIG, Instance
from tests.service.token_issuer import SECRET, TokenIssuer

ISSUERS = """
  jwt:
    issuers:
      - {issuer: "https://issuer-a.test", audience: scalix, secret: "${TOKEN_SECRET}", user_prefix: "a:"}
"""


@pytest.fixture
async def instance(store_url: str, key_prefix: str, tmp_path: Path) -> AsyncIterator[Instance]:
    (tmp_path / "config.yaml").write_text(CONFIG + ISSUERS, encoding="utf-8")
    one = Instance(store_url, tmp_path, key_prefix, "one", TOKEN_SECRET=SECRET)
    yield one
    await one.close()


async def reasons_of(instance: Instance, *tokens: str) -> dict[str, int]:
    """What the audit log says after these were refused, all alike."""
    answers = [await instance.http.get("/v1/models", headers=with_key(token)) for token in tokens]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json()["error"]["message"] for answer in answers}) == 1
    await instance.core.audit.events.flush()
    page = (await instance.http.get("/scalix/v1/audit", params={"act": "identity.refused"})).json()
    for token in tokens:
        assert token not in str(page)
    found: dict[str, int] = {}
    for entry in page["entries"]:
        for reason, count in entry["details"].get("reasons", {}).items():
            found[reason] = found.get(reason, 0) + count
    return found


async def test_each_fault_of_a_token_has_its_word(instance: Instance) -> None:
    issuer = TokenIssuer(now_s=int(time.time()))
    now_s = issuer.now_s
    bad: dict[str, dict[str, Any]] = {
        "token-expired": {"exp": now_s - 1_000},
        "token-audience": {"aud": "somebody else"},
        "token-issuer": {"iss": "https://nobody.test"},
        "token-not-yet": {"nbf": now_s + 1_000},
        "token-missing-claim": {"exp": ...},
        "token-user-claim": {"sub": ""},
    }
    tokens = [issuer.token(**claims) for claims in bad.values()]
    other_secret = TokenIssuer(now_s=now_s, secret="another-secret-0123456789abcdef0123456789").token()
    assert await reasons_of(instance, *tokens, other_secret) == {**dict.fromkeys(bad, 1), "token-signature": 1}


async def test_a_revoked_token_is_named_with_its_user(instance: Instance) -> None:
    token = TokenIssuer(now_s=int(time.time())).token(jti="j1")
    assert (await instance.http.get("/v1/models", headers=with_key(token))).status_code == 200
    await act(instance, "/scalix/v1/tokens/revoke", user_id="a:bob", jti="j1")
    assert await reasons_of(instance, token) == {"token-revoked": 1}


async def test_each_fault_of_a_key_has_its_word(instance: Instance) -> None:
    key = await made(instance)
    await act(instance, "/key/regenerate", key=key["token"], grace_period="1s")
    instance.core.administration.keys.credentials.now_ms = lambda: time.time_ns() // 1_000_000 + 5_000
    secret = new_secret()
    mistyped = secret[:-1] + ("a" if secret[-1] != "a" else "b")
    assert await reasons_of(instance, key["key"], secret, mistyped) == {
        "key-replaced": 1,
        "key-unknown": 1,
        "key-malformed": 1,
    }
