"""Who a request is of, by its socket and headers."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, cast

import pytest

from scalix.domain.errors import InvalidApiKey
from scalix.domain.identity.addresses import Networks, parse_network
from scalix.domain.policy import Model, Policy, Tier
from scalix.edge.asgi import credential_of
from scalix.edge.client_address import ClientAddresses
from scalix.edge.model_routes import ModelRoutes
from scalix.edge.rows import Request
from scalix.service.identity.identity import AnonymousCallers, Credential, Identity, MasterKey
from scalix.service.identity.users import UserDirectory
from scalix.service.policy_source import PolicySource
from scalix.store.records.redis_users import UserStore
from tests.store.memory.memory import MemoryStore

MASTER = "sk-master-key-of-this-test-0123456789"
TIERS = {"visitor": Tier("visitor", models=("free-*",)), "pro": Tier("pro", models=("*",))}
MODELS = {name: Model(name, f"openai/{name}") for name in ("free-a", "dear")}


class Edge:
    """The routes that list models, with the real identity, and whom they took callers for."""

    def __init__(self, *, anonymous: bool, master: str = MASTER, previous: str | None = None) -> None:
        self.refused_published = 0
        policy = PolicySource(Policy(TIERS, "pro", MODELS, anonymous_tier="visitor" if anonymous else None))
        self.policy = policy
        users = UserDirectory(cast(UserStore, MemoryStore(lambda: 0)), policy)
        operators = MasterKey(master, previous, on_published=self._published)
        self.models_of = ModelRoutes(Identity([operators], AnonymousCallers(policy), users), policy)
        self.addresses = ClientAddresses(Networks([parse_network("10.0.0.0/8")]))

    def _published(self) -> None:
        self.refused_published += 1

    def scope(self, headers: list[tuple[str, str]], peer: str | None) -> dict[str, Any]:
        scope: dict[str, Any] = {
            "type": "http",
            "method": "GET",
            "path": "/v1/models",
            "query_string": b"",
            "client": (peer, 5000) if peer else None,
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
        }
        self.addresses.of(scope)
        return scope

    async def models(self, headers: Mapping[str, str], peer: str | None = "192.0.2.1") -> list[str]:
        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        listed = await self.models_of.listing(Request(self.scope(list(headers.items()), peer), receive))
        return [model["id"] for model in listed["data"]]


async def test_without_a_credential_an_address_has_its_own_tier_where_that_is_enabled() -> None:
    assert await Edge(anonymous=True).models({}) == ["free-a"]
    with pytest.raises(InvalidApiKey):
        await Edge(anonymous=False).models({})


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": "Bearer sk-wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer"},
        {"authorization": "Basic dXNlcjpwYXNz"},
        {"authorization": ""},
        {"x-api-key": "sk-wrong"},
        {"x-api-key": ""},
        {"authorization": "Basic dXNlcjpwYXNz", "x-api-key": MASTER},
    ],
    ids=str,
)
async def test_a_wrong_credential_is_never_anonymous(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidApiKey):
        await Edge(anonymous=True).models(headers)


async def test_a_right_credential_is_not_anonymous_either() -> None:
    assert await Edge(anonymous=True).models({"authorization": f"Bearer {MASTER}"}) == ["free-a", "dear"]


async def test_who_has_no_address_can_t_be_anonymous() -> None:
    with pytest.raises(InvalidApiKey):
        await Edge(anonymous=True).models({}, peer=None)


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("192.0.2.1", [("x-forwarded-for", "198.51.100.9")], "192.0.2.1"),
        ("10.0.0.1", [("x-forwarded-for", "198.51.100.9")], "198.51.100.9"),
        ("::ffff:10.0.0.1", [("x-forwarded-for", "::ffff:198.51.100.9")], "198.51.100.9"),
        ("10.0.0.1", [("x-forwarded-for", "203.0.113.5"), ("x-forwarded-for", "198.51.100.9")], "198.51.100.9"),
        ("10.0.0.1", [("x-real-ip", "203.0.113.5"), ("forwarded", "for=203.0.113.5")], "10.0.0.1"),
        ("10.0.0.1", [("x-forwarded-for", "198.51.100.9, \xff")], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
    ],
)
def test_a_forwarded_address_counts_from_a_trusted_proxy_only(
    peer: str, headers: list[tuple[str, str]], address: str
) -> None:
    assert credential_of(Edge(anonymous=True).scope(headers, peer)).address == address


async def test_whom_a_reload_has_named_counts_at_once() -> None:
    edge = Edge(anonymous=False)
    with pytest.raises(InvalidApiKey):
        await edge.models({})
    edge.policy.replace(replace(edge.policy.current, anonymous_tier="visitor"))
    assert await edge.models({}) == await Edge(anonymous=True).models({})
    edge.addresses.trust_only([parse_network("192.0.2.0/24")])
    for peer, address in (("192.0.2.1", "203.0.113.9"), ("10.0.0.1", "10.0.0.1")):
        assert credential_of(edge.scope([("x-forwarded-for", "203.0.113.9")], peer)).address == address


async def test_ipv6_callers_of_one_64_bit_network_are_one_subject() -> None:
    policy = PolicySource(Policy(TIERS, "pro", MODELS, anonymous_tier="visitor"))
    callers = [AnonymousCallers(policy).caller(Credential(None, f"2001:db8::{n}")) for n in (1, 2)]
    assert [str(caller.subject) for caller in callers] == ["address:2001:db8::/64"] * 2


PUBLISHED = "sk-scalix-dev-123456789"
HERE: dict[str, str] = {"host": "localhost:4000"}


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("127.0.0.1", HERE),
        ("127.0.0.1", {"host": "127.0.0.1:4000"}),
        ("127.8.9.1", {"host": "0.0.0.0:4000"}),
        ("::1", {"host": "[::1]:4000"}),
        ("::ffff:127.0.0.1", {"host": "gateway.localhost"}),
        ("127.0.0.1", HERE | {"origin": "http://localhost:3000"}),
        ("127.0.0.1", HERE | {"origin": "http://[::1]:3000"}),
    ],
)
async def test_a_published_master_key_counts_on_this_machine(peer: str, headers: dict[str, str]) -> None:
    for edge in (Edge(anonymous=False, master=PUBLISHED), Edge(anonymous=False, previous=PUBLISHED)):
        assert await edge.models({"authorization": f"Bearer {PUBLISHED}", **headers}, peer) == ["free-a", "dear"]
        assert edge.refused_published == 0


@pytest.mark.parametrize(
    ("peer", "headers"),
    [
        ("192.0.2.1", HERE),
        ("10.0.0.1", HERE),
        ("2001:db8::1", HERE),
        (None, HERE),
        ("127.0.0.1", HERE | {"x-forwarded-for": "192.0.2.1"}),
        ("127.0.0.1", HERE | {"x-forwarded-for": "127.0.0.1"}),
        ("127.0.0.1", HERE | {"forwarded": "for=192.0.2.1"}),
        ("127.0.0.1", {"host": "evil.example:4000"}),
        ("127.0.0.1", HERE | {"origin": "https://evil.example"}),
        ("127.0.0.1", HERE | {"origin": "null"}),
        ("127.0.0.1", HERE | {"x-forwarded-proto": "https"}),
        ("127.0.0.1", HERE | {"cf-connecting-ip": "192.0.2.1"}),
        ("10.0.0.1", HERE | {"x-forwarded-for": "127.0.0.1"}),
    ],
)
async def test_a_published_master_key_from_elsewhere_or_through_a_proxy_is_a_wrong_key(
    peer: str | None, headers: dict[str, str]
) -> None:
    for edge in (Edge(anonymous=True, master=PUBLISHED), Edge(anonymous=False, previous=PUBLISHED)):
        with pytest.raises(InvalidApiKey, match="The API key is not valid"):
            await edge.models({"authorization": f"Bearer {PUBLISHED}", **headers}, peer)
        assert edge.refused_published == 1


async def test_a_published_master_key_does_not_count_where_a_proxy_adds_no_header() -> None:
    edge = Edge(anonymous=False, master=PUBLISHED)
    scope = edge.scope([("authorization", f"Bearer {PUBLISHED}"), *HERE.items()], "127.0.0.1")
    for version, right in (("1.1", True), ("1.0", False)):
        assert credential_of({**scope, "http_version": version}).is_from_here() is right


async def test_beside_a_published_key_another_one_counts_from_everywhere() -> None:
    edge = Edge(anonymous=False, previous=PUBLISHED)
    assert await edge.models({"authorization": f"Bearer {MASTER}"}, "192.0.2.1") == ["free-a", "dear"]


@pytest.mark.parametrize(
    ("headers", "address"),
    [
        ({"host": "gateway.example:8443"}, "http://gateway.example:8443"),
        ({"host": "[::1]:4000", "authorization": "Bearer sk-wrong"}, "http://[::1]:4000"),
        ({"host": 'x" && rm -rf "'}, "http://127.0.0.1:4000"),
        ({}, "http://127.0.0.1:4000"),
    ],
)
async def test_who_may_not_see_the_models_is_shown_the_request_with_the_key(
    headers: dict[str, str], address: str
) -> None:
    with pytest.raises(InvalidApiKey) as refused:
        await Edge(anonymous=False).models(headers)
    assert refused.value.message.endswith(f'curl {address}/v1/models -H "Authorization: Bearer <key>"')
    assert len(refused.value.message) < 400
