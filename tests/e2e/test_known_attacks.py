"""What has been done to gateways of this kind before, done to this one. docs/security.md lists the attacks."""

import base64
import json
import re
import secrets
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from scalix.edge.routes import access_of, all_routes
from scalix.edge.rows import Access
from scalix.service.administration.key_administration import new_secret
from tests.demo_server import DemoServer
from tests.e2e.calls import PATHS, Bench, body_of
from tests.e2e.conftest import NewUser
from tests.e2e.gateways import Gateway

FREE, PREMIUM = "free-gemini-flash", "gpt-4"
WITH_METADATA = ("chat", "responses", "messages")


@pytest.fixture
def bench(gateway: Gateway, http: httpx.Client, new_user: NewUser, marker: str, demo_server: DemoServer) -> Bench:
    return Bench(gateway, demo_server, http, new_user("premium"), marker)


@pytest.fixture
def inner_listener() -> Iterator[socket.socket]:
    """A server inside the network, that nobody may be led to."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.2)
        yield listener


def was_called(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except TimeoutError:
        return False
    return True


@pytest.mark.parametrize("route", PATHS)
def test_a_client_that_asks_not_to_be_logged_is_counted_like_any_other(bench: Bench, route: str) -> None:
    asking: list[dict[str, Any]] = [{"no-log": True}, {"no_log": True}, {"litellm_params": {"no-log": True}}]
    for field in asking:
        answer = bench.http.post(PATHS[route], json=bench.body(route, model=FREE) | field)
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, next(iter(field)))
    assert bench.counted() == (0, 0, 0)
    # Where a field is taken, and by headers and in the URL, it changes nothing.
    usual = bench.post(route, model=FREE)
    after_one = bench.counted()
    hidden = bench.http.post(
        PATHS[route] + "?no-log=true",
        json=bench.body(route, model=FREE) | ({"metadata": {"no-log": True}} if route in WITH_METADATA else {}),
        headers={"x-litellm-disable-logging": "true", "litellm-disable-message-redaction": "true", "no-log": "true"},
    )
    assert (usual.status_code, hidden.status_code) == (200, 200), hidden.text
    assert bench.counted() == (2, 2 * after_one[1], 0)


@pytest.mark.parametrize("route", PATHS)
def test_a_model_in_the_url_or_in_a_header_is_none(
    bench: Bench, gateway: Gateway, new_user: NewUser, route: str
) -> None:
    free = bench.http.post("/key/generate", json={"user_id": new_user("free")}).json()["key"]
    body = body_of(route, bench.marker, model=FREE)
    with gateway.client(free) as client:
        for query in (f"?model={PREMIUM}", f"?deployment={PREMIUM}", f"?api-version=1&engine={PREMIUM}"):
            headers = {"x-litellm-model": PREMIUM, "x-litellm-tags": PREMIUM, "x-openai-model": PREMIUM}
            assert client.post(PATHS[route] + query, json=body, headers=headers).status_code == 200
    assert {entry["model"] for entry in bench.log(3)} == {FREE}


CONTROL: dict[str, Any] = {
    "api_base": "{url}",
    "base_url": "{url}",
    "api_key": "sk-mine",
    "mock_response": "free of charge",
    "input_cost_per_token": 0,
    "output_cost_per_token": 0,
    "fallbacks": [PREMIUM],
    "context_window_fallbacks": [{FREE: [PREMIUM]}],
    "extra_body": {"model": PREMIUM},
    "extra_headers": {"x": "y"},
    "model_list": [],
    "custom_llm_provider": "openai",
    "litellm_call_id": "mine",
    "cache": {"no-cache": True},
    "guardrails": [],
    "proxy_server_request": {},
    "user_config": {},
    "vertex_credentials": "{}",
    "aws_access_key_id": "x",
    "callbacks": ["x"],
    "success_callback": ["x"],
    "tags": ["x"],
}


@pytest.mark.parametrize("route", PATHS)
def test_fields_that_steer_the_gateway_are_refused_by_name_and_lead_nowhere(
    bench: Bench, inner_listener: socket.socket, route: str
) -> None:
    url = f"http://127.0.0.1:{inner_listener.getsockname()[1]}"
    for name, value in CONTROL.items():
        filled = json.loads(json.dumps(value).replace("{url}", url))
        answer = bench.http.post(PATHS[route], json=bench.body(route, model=FREE) | {name: filled})
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, name), answer.text
        assert name in answer.json()["error"]["message"]
    headers = {"x-litellm-api-base": url, "api-base": url, "x-api-base": url, "x-forwarded-host": url[7:]}
    assert bench.http.post(PATHS[route], json=bench.body(route, model=FREE), headers=headers).status_code == 200
    assert not was_called(inner_listener)
    assert len(bench.log()) == 1


@pytest.mark.parametrize("route", PATHS)
def test_every_spelling_of_a_route_that_exists_is_counted(bench: Bench, route: str) -> None:
    path = PATHS[route]
    ways = [path, path.removeprefix("/v1"), path + "/", f"/openai{path}"]
    deployment = f"/openai/deployments/{FREE}{path[3:]}"
    if route not in ("responses", "messages"):
        ways.append(deployment)
    for spelling in ways:
        assert bench.http.post(spelling, json=bench.body(route, model=FREE)).status_code == 200
    assert bench.counted()[0] == len(ways)
    others = (
        *(path + "//", path.upper(), "/" + path, path.replace("/v1", "/v2"), f"/engines/{FREE}{path[3:]}"),
        *(f"{path};x=1", f"/openai/openai{path}", *([] if deployment in ways else [deployment])),
        *(path.replace("/v1", "/%761"), f"/litellm{path}", f"/api{path}", f"/anthropic{path}"),
    )
    for spelling in others:
        answer = bench.http.post(httpx.URL(bench.gateway.url).copy_with(raw_path=spelling.encode()), json={})
        assert answer.status_code == 404, spelling
    assert bench.counted()[0] == len(ways)


def test_only_one_exact_name_is_a_model(bench: Bench) -> None:
    # LiteLLM writes a deployment's id into those of its answers.
    given = bench.post("responses", model=FREE).json()["id"].removeprefix("resp_").partition("_own")[0]
    inner_id = base64.b64decode(given).decode().partition("model_id:")[2].partition(";")[0]
    assert len(inner_id) == 64
    asked = len(bench.log(1))
    names = [
        *(f"{FREE},{PREMIUM}", f"{PREMIUM},", f" {PREMIUM}", PREMIUM.upper(), f"openai/{PREMIUM}", "*", "free-*"),
        *(f"{FREE}\x00", "all-proxy-models", "default", inner_id),
    ]
    for name in names:
        answer = bench.post("chat", model=name)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found"), name
    assert bench.post("chat", model=[FREE, PREMIUM]).status_code == 400
    assert len(bench.provider.requests(contains=bench.marker)) == asked


INJECTIONS = (
    *("' OR '1'='1", "x'; DROP TABLE users; --", '" OR 1=1 --', "sk-scalix-' UNION SELECT api_key FROM keys --"),
    *("'; return redis.call('FLUSHALL') --", "]] redis.call('FLUSHALL') --[[", "EVAL 1 0", "*\\r\\n$8\\r\\nFLUSHALL"),
    *("${jndi:ldap://127.0.0.1/x}", "{{7*7}}", "../../../etc/passwd", "$(id)", "`id`", "{s00}:u:user:x", "%00"),
    *("sk-" + "a" * 8_000, "\\u0000", "__proto__", "null", "undefined", "Bearer", "true"),
)


def test_whatever_stands_in_place_of_a_key_gets_the_answer_of_any_wrong_key(
    gateway: Gateway, http: httpx.Client, new_user: NewUser
) -> None:
    user = new_user("pro")
    deleted = http.post("/key/generate", json={"user_id": user}).json()
    http.post("/key/delete", json={"keys": [deleted["token"]]})
    texts = set()
    for token in (*INJECTIONS, "sk-wrong", new_secret(), deleted["key"], deleted["token"]):
        for headers in ({"authorization": f"Bearer {token}"}, {"x-api-key": token}):
            answer = httpx.post(f"{gateway.url}/v1/chat/completions", headers=headers, json={}, trust_env=False)
            assert answer.status_code == 401, token
            texts.add(answer.text)
    assert len(texts) == 1  # no word of what was sent, of what is stored, or of why
    assert http.get("/user/info", params={"user_id": user}).json()["tier"] == "pro"


@pytest.mark.parametrize("name", ["{s00}:w:user:x", "*", "a b", "'; DROP", "x:y", "user:user:x", "ключ", "%s%s", "\\"])
def test_a_users_name_is_a_name_whatever_is_in_it(bench: Bench, gateway: Gateway, name: str) -> None:
    one, other = (f"{name}-{secrets.token_hex(4)}" for _ in range(2))
    for _ in range(2):
        assert bench.http.post(PATHS["chat"], json=bench.body("chat", model=FREE) | {"user": one}).status_code == 200
    used = [bench.http.get("/user/info", params={"user_id": user}) for user in (one, other)]
    assert used[0].json()["usage"]["requests_today"] == 2
    assert used[1].status_code == 404


def test_a_crawl_without_a_key_learns_nothing(gateway: Gateway) -> None:
    with httpx.Client(base_url=gateway.url, trust_env=False, timeout=30) as nobody:
        for path, method, target in all_routes():
            answer = nobody.request(method, path.replace("{id}", FREE).replace("{key}", "x").replace("{user}", "x"))
            if access_of(target) in (Access.ANYBODY, Access.ANYBODY_OPERATORS_MORE):
                assert answer.status_code in (200, 503), path
                assert PREMIUM not in answer.text
                assert "redis" not in answer.text
            else:
                assert answer.status_code == 401, (method, path)
        for path in ("/model/new", "/v2/model/info", "/docs", "/openapi.json", "/redoc", "/ui/x", "/config/yaml"):
            assert nobody.get(path).status_code == 404, path
        for page in (nobody.get("/"), nobody.get("/ui", follow_redirects=True)):
            assert page.status_code == 200
            assert not re.search(f"{PREMIUM}|redis|litellm", page.text, re.IGNORECASE)


LITELLMS = (
    *(
        "/config/update",
        "/config/field/update",
        "/model/new",
        "/model/delete",
        "/mcp/tools/call",
        "/mcp-rest/tools/list",
    ),
    *("/mcp", "/v1/mcp/server", "/prompts/test", "/prompts", "/utils/transform_request", "/guardrails/apply_guardrail"),
    *(
        "/guardrails",
        "/callbacks/list",
        "/credentials",
        "/team/new",
        "/organization/new",
        "/customer/new",
        "/spend/logs",
    ),
    *(
        "/global/spend/reset",
        "/cache/flushall",
        "/sso/key/generate",
        "/login",
        "/vertex_ai/x",
        "/bedrock/model/x/invoke",
    ),
    *(
        "/openai/v1/files",
        "/v1/files",
        "/v1/batches",
        "/v1/assistants",
        "/v1/fine_tuning/jobs",
        "/rag/ingest",
        "/a2a/x",
    ),
)


@pytest.mark.parametrize("tier", ["free", "premium"])
def test_litellms_own_routes_are_open_to_no_user(
    gateway: Gateway, http: httpx.Client, new_user: NewUser, tier: str
) -> None:
    key = http.post("/key/generate", json={"user_id": new_user(tier)}).json()["key"]
    with gateway.client(key) as user:
        for path in LITELLMS:
            for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
                answer = user.request(method, path)
                assert (answer.status_code, answer.json()["error"]["code"]) == (404, "route_not_found"), path
        for path in ("/key/generate", "/key/update", "/user/update", "/scalix/v1/merge"):
            answer = user.post(path, json={"user_id": "x", "tier": "premium", "key": key, "role": "proxy_admin"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (403, "not_permitted"), path
