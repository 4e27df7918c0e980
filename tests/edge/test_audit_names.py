"""The audit log and erasure: users are named by pseudonyms, whose meaning goes with the user."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from scalix.domain.identity.token_claims import digest_of_jti
from scalix.domain.ledger.audit_chain import Link, Sealer
from scalix.domain.ledger.audit_check import ChainCheck
from scalix.service.audit.audit import Act, Actor
from scalix.service.audit.audit_names import hidden_in
from tests.edge.key_rig import act, made
from tests.edge.privacy_rig import Make, a_life, entries, erase, export, instances, texts_of


@pytest.fixture
async def make(store_url: str, tmp_path: Path, key_prefix: str) -> AsyncIterator[Make]:
    async with instances(store_url, tmp_path, key_prefix) as made:
        yield made


async def test_the_audit_log_names_users_while_they_are_known_and_stays_whole(make: Make) -> None:
    a = make()
    user = "alice@example.com"
    key = await a_life(a, user)
    key_id = (await export(a, user))["keys"][0]["key_id"]
    found = await entries(a, object=f"user:{user}")
    assert [entry["act"] for entry in found] == ["user.new", "user.update", "user.merge", "user.export"]
    assert found[2]["details"] == {"merged_address": "198.51.100.7"}
    (generated,) = await entries(a, object=f"key:{key_id}")
    assert generated["after"]["key_alias"] == f"laptop of {user}"
    chain = (await a.http.get("/scalix/v1/audit/chain")).json()
    assert [sign for sign in (user, "alice", key_id, "laptop", "198.51.100.7") if sign in str(chain)] == []
    await erase(a, user)
    assert await entries(a, object=f"user:{user}") == []
    shown = await entries(a)
    assert [entry["act"] for entry in shown][-1] == "user.erase"
    assert re.fullmatch(r"user:p-[0-9a-f]{16}", shown[-1]["object"])
    assert "alice" not in str(shown)
    check = ChainCheck(Sealer())
    links = (await a.http.get("/scalix/v1/audit/chain")).json()
    for entry in links["entries"]:
        check.take(Link(**entry))
    assert check.finish(links["given_seq"]).findings == ()
    assert key["key"] not in str(links)


async def test_a_refusal_from_before_an_erasure_brings_no_name_back(make: Make, key_prefix: str) -> None:
    a, b = make(), make()
    user = "alice@example.com"
    await act(a, "/user/new", user_id=user, tier="open")
    await act(a, "/user/update", user_id=user, blocked=True)
    assert (await b.ask(user)).status_code == 403
    await erase(a, user)
    await b.core.audit.events.flush()
    (refused,) = await entries(a, act="identity.refused")
    assert re.fullmatch(r"user:p-[0-9a-f]{16}", refused["actor"])
    assert user not in await texts_of(a, key_prefix)


async def test_the_addresses_of_a_key_and_a_revoked_token_are_named_by_pseudonyms_too(make: Make) -> None:
    a = make()
    await made(a, user_id="alice", allowed_ips=["203.0.113.7", "2001:db8:1::/48"], denied_ips=["203.0.113.66"])
    await act(a, "/scalix/v1/tokens/revoke", user_id="alice", jti="one")
    signs = ("203.0.113", "2001:db8:1", digest_of_jti("one"))
    (generated,) = await entries(a, act="key.generate")
    assert [sign for sign in signs if sign not in str(await entries(a))] == []
    assert generated["after"]["allowed_ips"] == ["203.0.113.7/32", "2001:db8:1::/48"]
    assert [sign for sign in signs if sign in (await a.http.get("/scalix/v1/audit/chain")).text] == []
    await erase(a, "alice")
    assert [sign for sign in signs if sign in str(await entries(a))] == []


def test_an_operators_address_stays_whatever_it_has_in_common_with_a_users() -> None:
    address = "198.51.100.70"
    act = Act("user.merge", Actor("operator:master", "r", address), "alice", {"merged_address": "198.51.100.7"})
    hidden = hidden_in(act.facts, {"alice": "p-1", "198.51.100.7": "p-2"})
    assert (hidden["address"], hidden["details"], hidden["object"]) == (address, {"merged_address": "p-2"}, "user:p-1")
