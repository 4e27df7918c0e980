"""Every route by credential by method against the running gateway, and every other path of LiteLLM's app."""

import secrets
import time
from collections.abc import Iterable, Iterator
from typing import Any

import httpx
import pytest

from scalix.domain.requests.routes import Route
from scalix.edge.routes import Target, find
from scalix.edge.rows import Row
from scalix.edge.spellings import normalise_path
from tests.e2e.gateways import JWT_SECRET, SECRET_ISSUER, Gateway
from tests.service.token_issuer import TokenIssuer
from tools.route_docs import CREDENTIALS, METHODS, expected_status, rows

MODEL = "free-gemini-flash"
CONTENTS: dict[Route, dict[str, Any]] = {
    Route.CHAT: {"messages": [{"role": "user", "content": "hi [[demo words=1]]"}]},
    Route.COMPLETIONS: {"prompt": "hi [[demo words=1]]"},
    Route.EMBEDDINGS: {"input": "hi"},
    Route.RESPONSES: {"input": "hi [[demo words=1]]"},
    Route.MESSAGES: {"messages": [{"role": "user", "content": "hi [[demo words=1]]"}], "max_tokens": 5},
}
# What an operator sends that is right. Of a route without one, any answer of the route's own is the expected one.
EXAMPLES: dict[str, dict[str, Any]] = {
    "POST /user/new": {"json": {"user_id": "{new}"}},
    "POST /user/update": {"json": {"user_id": "{user}", "tier": "pro"}},
    "GET /user/info": {"params": {"user_id": "{user}"}},
    "POST /user/delete": {"json": {"user_ids": ["{user}"]}},
    "GET /user/limits": {"params": {"user_id": "{user}"}},
    "PUT /user/limits": {"json": {"user_id": "{user}", "limits": {}}},
    "GET /user/balance": {"params": {"user_id": "{user}"}},
    "POST /user/credit": {"json": {"user_id": "{user}", "amount_usd": 1, "credit_id": "route-table"}},
    "POST /user/reset": {"json": {"user_id": "{user}", "windows": "all"}},
    "GET /user/list": {},
    "POST /key/generate": {"json": {}},
    "GET /key/info": {"params": {"key": "{key}"}},
    "GET /key/list": {},
    "POST /key/update": {"json": {"key": "{key}", "rpm_limit": 5}},
    "POST /key/delete": {"json": {"keys": ["{key}"]}},
    "POST /key/block": {"json": {"key": "{key}"}},
    "POST /key/unblock": {"json": {"key": "{key}"}},
    "POST /key/regenerate": {"json": {"key": "{key}"}},
    "POST /key/{key}/regenerate": {"json": {"key": "{key}"}},
    "GET /scalix/v1/me/keys": {},
    "POST /scalix/v1/me/keys": {"json": {"name": "{new}"}},
    "POST /scalix/v1/me/keys/{key}": {"json": {"name": "{new}"}},
    "POST /scalix/v1/me/keys/{key}/rotate": {},
    "DELETE /scalix/v1/me/keys/{key}": {},
    "GET /scalix/v1/shadow": {},
    "GET /scalix/v1/audit": {},
    "GET /scalix/v1/audit/chain": {},
    "GET /scalix/v1/users/{user}/export": {},
    "DELETE /scalix/v1/users/{user}": {},
    "POST /scalix/v1/retention/run": {},
    "POST /v1/messages/count_tokens": {"json": {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}},
    "POST /v1/responses/input_tokens": {"json": {"model": MODEL, "input": "hi"}},
    "GET /v1/responses/{id}": {},
    "DELETE /v1/responses/{id}": {},
    "GET /v1/models": {},
    "GET /v1/models/{id}": {},
    "GET /health": {},
    "GET /health/liveliness": {},
    "GET /health/readiness": {},
}


KEYS: dict[str, dict[str, Any]] = {"key": {}, "expired key": {"duration": "1s"}, "blocked key": {"blocked": True}}


@pytest.fixture(scope="module")
def admin(gateway: Gateway) -> Iterator[httpx.Client]:
    with gateway.client() as client:
        yield client


@pytest.fixture(scope="module")
def credentials(admin: httpx.Client) -> dict[str, dict[str, str]]:
    """The headers of each credential: users come with tokens of their own."""
    issuer = TokenIssuer(SECRET_ISSUER, secret=JWT_SECRET, now_s=int(time.time()))
    headers: dict[str, dict[str, str]] = {"none": {}, "wrong": {"authorization": "Bearer sk-wrong"}}
    headers["admin"] = {"authorization": admin.headers["authorization"]}
    for name in ("expired", "blocked", "free", "pro"):
        sub = f"{name}-{secrets.token_hex(6)}"
        tier = "fifty" if name == "free" else "pro"
        body = {"user_id": f"a:{sub}", "tier": tier, "blocked": name == "blocked"}
        assert admin.post("/user/new", json=body).status_code == 200
        ends: dict[str, Any] = {"exp": issuer.now_s - 3600} if name == "expired" else {}
        headers[name] = {"authorization": f"Bearer {issuer.token(sub=sub, **ends)}"}
    for name, fields in KEYS.items():
        owner = admin.post("/user/new", json={"tier": "fifty"}).json()["user_id"]
        made = admin.post("/key/generate", json={"user_id": owner, **fields}).json()
        headers[name] = {"authorization": f"Bearer {made['key']}"}
        while fields and admin.get("/key/info", params={"key": made["token"]}).json()["info"]["status"] == "active":
            time.sleep(0.05)
    return headers


def named(target: Row[Any]) -> str:
    """A row by its method and first path."""
    return f"{target.method} {target.path}"


def request_for(target: Target, admin: httpx.Client) -> dict[str, Any]:
    """The body or query of a well-formed request."""
    if isinstance(target, Route):
        return {"json": {"model": MODEL, **CONTENTS[target]}}
    names = {"{new}": f"new-{secrets.token_hex(6)}", "{user}": f"old-{secrets.token_hex(6)}"}
    example = EXAMPLES.get(named(target), {"json": {}})
    if "{user}" in str(example):
        admin.post("/user/new", json={"user_id": names["{user}"]})
    if "{key}" in str(example):
        names["{key}"] = admin.post("/key/generate", json={}).json()["token"]

    def filled(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [filled(item) for item in value]
        return names.get(value, value)

    return dict(filled(example))


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_every_route_answers_every_credential_as_the_table_says(
    gateway: Gateway, admin: httpx.Client, credentials: dict[str, dict[str, str]], credential: str
) -> None:
    wrong: list[str] = []
    stored = {"model": MODEL, **CONTENTS[Route.RESPONSES]}
    with httpx.Client(base_url=gateway.url, headers=credentials[credential], timeout=30, trust_env=False) as client:
        for method, path, target in rows():
            if path == "/health" and credential == "admin":
                continue  # it calls every provider; test_first_requests asks it once
            expected = expected_status(target, credential)
            request = request_for(target, admin)
            key = request.get("json", {}).get("key", "none") if "{key}" in path else ""
            if "/responses/{id}" in path and expected == 200:
                path = path.replace("{id}", client.post("/v1/responses", json=stored).json()["id"])
            if "/me/keys/{key}" in path and expected == 200:
                key = client.post("/scalix/v1/me/keys", json={"name": secrets.token_hex(6)}).json()["token"]
            if "{request}" in path and expected == 200:
                chat = {"model": MODEL, **CONTENTS[Route.CHAT]}
                path = path.replace("{request}", client.post("/v1/chat/completions", json=chat).headers["x-request-id"])
            path = path.replace("{id}", MODEL).replace("{key}", key or "none")
            if "{user}" in path:
                path = path.replace("{user}", admin.post("/user/new", json={}).json()["user_id"])
            answer = client.request(method, path, **request)
            own = expected == 200 and not isinstance(target, Route) and named(target) not in EXAMPLES
            if method == "GET":
                head = client.request("HEAD", path, **request)
                if (head.status_code, head.content) != (answer.status_code, b""):
                    wrong.append(f"HEAD {path}: {head.status_code} instead of {answer.status_code}")
            right = answer.status_code in (200, 400, 422) if own else answer.status_code == expected
            if not right:
                wrong.append(f"{method} {path}: {answer.status_code} instead of {expected}: {answer.text[:100]}")
            if answer.status_code == 401:
                assert answer.headers["www-authenticate"]
    assert not wrong


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_every_other_method_is_a_405_that_names_the_right_ones(
    gateway: Gateway, credentials: dict[str, dict[str, str]], credential: str
) -> None:
    methods_of: dict[str, set[str]] = {}
    for method, path, _ in rows():
        methods_of.setdefault(path, set()).add(method)
    with httpx.Client(base_url=gateway.url, headers=credentials[credential], timeout=30, trust_env=False) as client:
        for path, taken in methods_of.items():
            taken |= {"HEAD"} if "GET" in taken else set()
            for method in METHODS:
                if method not in taken:
                    answer = client.request(
                        method, path.replace("{id}", MODEL).replace("{key}", "x").replace("{user}", "x")
                    )
                    assert answer.status_code == 405, (method, path, answer.status_code)
                    assert set(answer.headers["allow"].split(", ")) == taken


@pytest.fixture(scope="session")
def litellm_paths() -> list[str]:
    """Every path of LiteLLM's own app, with its parameters filled in."""
    from litellm.proxy.proxy_server import app

    def walk(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
        for route in routes:
            included = getattr(route, "include_context", None)
            path = prefix + (included.prefix if included else route.path)
            yield path
            yield from walk(route.original_router.routes if included else getattr(route, "routes", None) or (), path)

    return sorted(_filled(path) for path in set(walk(app.routes)) if path.startswith("/"))


def _filled(path: str) -> str:
    parts = ["x" if part.startswith("{") else part for part in path.split("/")]
    return "/".join("x" if "{" in part else part for part in parts)


def _is_ours(path: str) -> bool:
    scope: dict[str, Any] = {"path": path, "raw_path": path.encode()}
    normalise_path(scope)
    return find(scope["path"], scope["raw_path"]) is not None or _is_a_page(path)


def _is_a_page(path: str) -> bool:
    """Whether the gateway's own pages are there, whatever LiteLLM has."""
    return path == "/" or path.split("/")[1] in ("ui", "me", "assets")


def test_every_other_path_of_litellm_is_a_404_with_and_without_the_master_key(
    gateway: Gateway, litellm_paths: list[str]
) -> None:
    ours = [path for path in litellm_paths if _is_ours(path)]
    others = [path for path in litellm_paths if path not in ours]
    assert len(others) > 500
    with gateway.client() as admin, httpx.Client(base_url=gateway.url, trust_env=False) as nobody:
        for client in (admin, nobody):
            for path in others:
                for method in ("GET", "POST"):
                    answer = client.request(method, path)
                    assert answer.status_code == 404, (method, path)
                    assert answer.json()["error"]["code"] == "route_not_found"


def test_a_websocket_is_not_opened(gateway: Gateway, credentials: dict[str, dict[str, str]]) -> None:
    upgrade = {
        "connection": "Upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    for path in ("/v1/realtime", "/v1/responses", "/v1/models", "/vertex_ai/live"):
        answer = httpx.get(gateway.url + path, headers={**credentials["admin"], **upgrade}, trust_env=False)
        is_known = path in ("/v1/responses", "/v1/models")
        assert answer.status_code == (426 if is_known else 404), (path, answer.status_code)
        # A client that knows both goes on by HTTP at once; with 426 the header has to be there.
        assert answer.headers.get("upgrade") == ("HTTP/1.1" if is_known else None)
        assert answer.json()["error"]["code"] == ("no_websockets" if is_known else "route_not_found")
