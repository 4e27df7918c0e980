"""The guard at the front door, in process: headers, hosts, addresses, paths, load, wrong keys, slow bodies."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from scalix.edge import guard_bodies
from tests.edge.gates import MASTER_KEY, InProcess, in_process


@pytest.fixture
async def edge(tmp_path: Path, store_url: str) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, store_url) as edge:
        yield edge


async def test_an_honest_request_is_let_in(edge: InProcess) -> None:
    answered = await edge.chat()
    assert answered.status == 200, answered.body


@pytest.mark.parametrize(
    "headers",
    [
        [(b"authorization", b"Bearer other")],
        [(b"authorization", f"Bearer {MASTER_KEY}".encode())],
        [(b"x-api-key", b"other"), (b"x-api-key", b"another")],
        [(b"host", b"gateway.example.com")],
        [(b"content-length", b"1"), (b"content-length", b"1")],
        [(b"content-length", b"-1")],
        [(b"content-length", b"9" * 5000)],
        [(b"content-length", b"1_0")],
        [(b"content-length", b"10"), (b"transfer-encoding", b"chunked")],
        [(b"content-type", b"a"), (b"content-type", b"b")],
        [(b"x", b"a\x00b")],
        [(b"x", b"a\rb")],
        [(b"x", b"a\nset-cookie: b")],
        [(b"x", b"y")] * 200,
        [(b"x", b"y" * 40_000)],
    ],
)
async def test_headers_that_no_honest_client_sends_are_a_400(
    edge: InProcess, headers: list[tuple[bytes, bytes]]
) -> None:
    answered = await edge.chat(headers=headers)
    assert (answered.status, answered.error["code"]) == (400, "invalid_request")
    assert edge.inner.scopes == []


async def test_the_same_key_in_both_headers_is_one_key(edge: InProcess) -> None:
    assert (await edge.chat(headers=[(b"x-api-key", MASTER_KEY.encode())])).status == 200


@pytest.mark.parametrize("host", [None, b"", b"a b", b"a,b", b"a/b", b"user@host", b"\xff", b"h:99999999", b"[::1"])
async def test_a_missing_or_odd_host_is_a_400(edge: InProcess, host: bytes | None) -> None:
    assert (await edge.chat(host=host)).status == 400


async def test_only_the_configured_hosts_are_served_and_probes_under_any(tmp_path: Path, store_url: str) -> None:
    hosts = {"allowed_hosts": ["api.example.com", "*.scalix.world", "[::1]"]}
    async with in_process(tmp_path, store_url, guard=hosts) as edge:
        for host in (
            b"api.example.com",
            b"API.example.com:4000",
            b"a.b.scalix.world",
            b"api.example.com.",
            b"[::1]:80",
        ):
            assert (await edge.chat(host=host)).status == 200, host
        for host in (b"example.com", b"scalix.world", b"api.example.com.evil.org", b"127.0.0.1", b"evil-scalix.world"):
            assert (await edge.chat(host=host)).status == 400, host
        assert (await edge.call("GET", "/health/liveliness", host=b"10.1.2.3:4000")).status == 200


@pytest.mark.parametrize(
    "path",
    [
        *("//v1/models", "/v1//models", "/v1/../v1/models", "/v1/./models", "/V1/models", "/v1/Models"),
        *("/v1/chat/completions//", "/v1", "/v1/", "", "/v1/chat/completions;a=b", "/v1/chat", "/model/new", "/docs"),
        *("/openai", "/openai/", "/openai/v1", "/openai/deployments/x", "/openai/deployments//chat/completions"),
        *("/openai/deployments/x/images/generations", "/openai/openai/v1/models", "/openai/v1/../v1/models"),
        *("http://gateway/v1/models", "/v1/chat/completions\x00", "/v1/chat\\completions", "/ v1/models", "*"),
    ],
)
async def test_another_spelling_of_a_path_is_no_path(edge: InProcess, path: str) -> None:
    for method in ("GET", "POST"):
        answered = await edge.call(method, path, {"model": "free-small"})
        assert (answered.status, answered.error["code"]) == (404, "route_not_found")


@pytest.mark.parametrize(
    ("path", "raw_path"),
    [
        ("/v1/chat/completions", b"/v1/%63hat/completions"),
        ("/v1/chat/completions", b"/v1/chat%2Fcompletions"),
        ("/v1/models/free-small", b"/v1/model%73/free-small"),
        ("/user/new", b"/user/%6eew"),
        ("/health", b"/%68ealth"),
    ],
)
async def test_an_encoded_path_is_no_path(edge: InProcess, path: str, raw_path: bytes) -> None:
    for method in ("GET", "POST"):
        assert (await edge.call(method, path, {}, raw_path=raw_path)).status == 404


async def test_a_models_name_may_be_encoded(edge: InProcess) -> None:
    answered = await edge.call("GET", "/v1/models/free-small", raw_path=b"/v1/models/free%2Dsmall")
    assert answered.status == 200


async def test_a_long_query_is_a_400(edge: InProcess) -> None:
    assert (await edge.call("GET", "/v1/models", query=b"a=" + b"b" * 10_000)).status == 400


async def test_addresses_are_denied_and_allowed(tmp_path: Path, store_url: str) -> None:
    rules = {"ip_rules": {"allow": ["203.0.113.0/24", "2001:db8::/32"], "deny": ["203.0.113.66"]}}
    async with in_process(tmp_path, store_url, guard=rules) as edge:
        assert (await edge.chat(address="203.0.113.7")).status == 200
        assert (await edge.chat(address="2001:db8::1")).status == 200
        for address in ("203.0.113.66", "198.51.100.1", "::ffff:203.0.113.66", None):
            answered = await edge.chat(address=address)
            assert (answered.status, answered.error["code"]) == (403, "ip_blocked"), address
        assert (await edge.call("GET", "/nowhere", address="198.51.100.1")).status == 403
        assert (await edge.call("GET", "/health/readiness", address="198.51.100.1", key=None)).status in (200, 503)


async def test_a_forwarded_address_counts_from_a_trusted_proxy_only(tmp_path: Path, store_url: str) -> None:
    rules = {"ip_rules": {"deny": ["203.0.113.66"]}, "trusted_proxies": ["10.0.0.0/8"]}
    forwarded = [(b"x-forwarded-for", b"203.0.113.66")]
    async with in_process(tmp_path, store_url, guard=rules) as edge:
        assert (await edge.chat(address="10.0.0.1", headers=forwarded)).status == 403
        assert (await edge.chat(address="203.0.113.7", headers=forwarded)).status == 200


async def test_a_body_nested_too_deep_is_a_400(edge: InProcess) -> None:
    for depth, status in ((50, 200), (80, 400), (2_000, 400), (100_000, 400)):
        nested = b"[" * depth + b"]" * depth
        body = b'{"model":"free-small","messages":[{"role":"user","content":"hi"}],"response_format":{"x":%s}}' % nested
        assert (await edge.call(body=body)).status == status, depth


async def test_nothing_of_a_client_but_its_body_gets_through(edge: InProcess) -> None:
    strange = [(b"x-litellm-api-base", b"http://canary"), (b"x-scalix-tier", b"premium"), (b"cookie", b"a=b")]
    answered = await edge.chat(headers=strange, query=b"model=large&api_key=canary")
    assert answered.status == 200
    (scope,) = edge.inner.scopes
    assert scope["query_string"] == b""
    assert {name for name, _ in scope["headers"]} == {b"host", b"content-type", b"content-length", b"authorization"}
    for name in ("set-cookie", "openai-organization", "x-litellm-model-api-base", "llm_provider-x", "server"):
        assert name not in answered.headers
    assert answered.headers.get("x-ratelimit-limit-requests") == "1000000"


async def test_a_url_to_a_private_address_is_a_400_that_says_where(edge: InProcess) -> None:
    part = {"type": "image_url", "image_url": {"url": "http://169.254.169.254/latest/"}}
    body = {"model": "free-small", "messages": [{"role": "user", "content": [part]}]}
    answered = await edge.call(body=body)
    assert (answered.status, answered.error["param"]) == (400, "messages[0].content[0].image_url.url")


async def test_extra_body_fields_reach_the_provider_where_they_are_allowed(tmp_path: Path, store_url: str) -> None:
    extras = {"extra_body_fields": {"chat": ["chat_template_kwargs"]}}
    body = {"model": "free-small", "messages": [{"role": "user", "content": "hi"}], "chat_template_kwargs": {"a": 1}}
    async with in_process(tmp_path, store_url, guard=extras) as edge:
        assert (await edge.call(body=body)).status == 200
        assert edge.inner.bodies[0]["extra_body"] == {"chat_template_kwargs": {"a": 1}}
        told = {"model": "free-small", "prompt": "x", "chat_template_kwargs": {"a": 1}}
        elsewhere = await edge.call(path="/v1/completions", body=told)
        assert elsewhere.headers["x-scalix-dropped"] == "chat_template_kwargs.a"
        assert "extra_body" not in edge.inner.bodies[1]


async def test_with_strict_bodies_an_unknown_field_is_refused_by_name(tmp_path: Path, store_url: str) -> None:
    body = {"model": "free-small", "messages": [{"role": "user", "content": "hi"}], "brand_new": 1}
    async with in_process(tmp_path, store_url, guard={"strict_bodies": True}) as edge:
        answer = await edge.call(body=body)
        assert (answer.status, answer.error["param"]) == (400, "brand_new")


async def test_free_is_shed_first_and_premium_last(tmp_path: Path, store_url: str) -> None:
    async with in_process(tmp_path, store_url, guard={"overload": {"in_flight": 10, "queue": {"requests": 0}}}) as edge:
        assert (await edge.call(path="/user/new", body={"user_id": "vip", "tier": "premium"})).status == 200
        release = asyncio.Event()
        edge.inner.before = release.wait
        message = [{"role": "user", "content": "hi"}]
        held: list[asyncio.Task[Any]] = []
        for _ in range(7):
            held.append(asyncio.create_task(edge.chat()))
        await edge.inner.has(7)
        free = await edge.chat()
        assert (free.status, free.error["code"]) == (503, "overloaded")
        assert free.headers["retry-after"] == "2"
        vip = {"model": "large", "user": "vip", "messages": message}
        for _ in range(3):
            held.append(asyncio.create_task(edge.call(body=vip)))
        await edge.inner.has(10)
        assert (await edge.call(body=vip)).status == 503
        release.set()
        assert {answered.status for answered in await asyncio.gather(*held)} == {200}
        assert (await edge.chat()).status == 200


async def wrong_keys(edge: InProcess, number: int, **options: Any) -> float:
    """Seconds that the last of a number of requests with a wrong key took."""
    loop = asyncio.get_running_loop()
    took = 0.0
    for _ in range(number):
        started = loop.time()
        answered = await edge.chat(key="sk-wrong", **options)
        took = loop.time() - started
        assert (answered.status, answered.error["code"]) == (401, "invalid_api_key")
    return took


async def test_wrong_keys_cost_an_address_growing_delays_and_a_right_one_never(edge: InProcess) -> None:
    assert await wrong_keys(edge, 5) < 0.1
    assert await wrong_keys(edge, 1) >= 0.1
    assert await wrong_keys(edge, 1) >= 0.2
    loop = asyncio.get_running_loop()
    started = loop.time()
    assert (await edge.chat()).status == 200
    assert (await edge.chat(key=None)).status == 401
    assert loop.time() - started < 0.2
    assert await wrong_keys(edge, 1, address="203.0.113.8") < 0.1


async def test_loopback_and_trusted_proxies_are_not_delayed(tmp_path: Path, store_url: str) -> None:
    async with in_process(tmp_path, store_url, guard={"trusted_proxies": ["10.0.0.1"]}) as edge:
        for address in ("127.0.0.1", "::1", "10.0.0.1", None):
            assert await wrong_keys(edge, 12, address=address) < 0.1


async def test_a_body_that_trickles_in_is_cut_off(edge: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard_bodies, "GRACE_S", 0.2)

    async def trickle() -> Any:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b" ", "more_body": True}

    for path in ("/v1/chat/completions", "/user/new"):
        answered = await edge.call(path=path, receive=trickle)
        assert (answered.status, "slowly" in answered.error["message"]) == (400, True)


async def test_a_body_larger_than_is_read_is_a_413_whether_or_not_it_says_so(edge: InProcess) -> None:
    async def endless() -> Any:
        return {"type": "http.request", "body": b"x" * 1_000_000, "more_body": True}

    assert (await edge.call(receive=endless)).status == 413
    assert (await edge.call(headers=[(b"content-length", b"99999999999")])).status == 413


async def test_websockets_are_closed(edge: InProcess) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await edge.gate({"type": "websocket", "path": "/v1/realtime", "headers": []}, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


@pytest.mark.parametrize(
    "field",
    [
        b'"prompt":[%s""]' % (b'"",' * 200_000),
        b'"messages":[%s{}]' % (b'{"role":"user","content":""},' * 20_000),
        b'"messages":[1%s]' % (b",{}" * 200_000),
    ],
    ids=["prompts", "messages", "objects behind a number"],
)
async def test_a_body_of_very_many_values_is_a_400_before_anybody_looks_at_them(edge: InProcess, field: bytes) -> None:
    answered = await edge.call(body=b'{"model":"free-small",%s}' % field)
    assert answered.status == 400
    assert b"more values than are read at once" in answered.body
