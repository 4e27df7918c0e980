"""LiteLLM's endpoints called as functions answer what they answer through FastAPI."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from litellm.proxy import proxy_server
from litellm.proxy._types import ProxyException, UserAPIKeyAuth
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth
from litellm.types.utils import ModelResponse
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import StreamingResponse

from scalix.domain.requests.routes import Route
from scalix.litellm_adapter.bridge import ATTEMPT, EXCHANGE_ID
from scalix.litellm_adapter.direct_endpoints import DirectEndpoints, is_possible, is_simple_route, route_of
from tests.adapter.test_trimmed_calls import exchange

CALLER: Any = Depends(user_api_key_auth)
LAZY = "/v1/messages"  # LiteLLM adds it at its first request


async def asked(app: Any, path: str, *, by_the_edge: bool) -> tuple[Any, ...]:
    """Status, headers and body of the answer to an empty request."""
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "state": {},
    }
    if by_the_edge:
        scope["scalix"] = exchange()
    sent: list[Any] = []
    bodies = [{"type": "http.request", "body": b'{"model": "m"}', "more_body": False}]

    async def receive() -> Any:
        return bodies.pop() if bodies else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    try:
        await app(scope, receive, send)
    except ValueError as error:
        sent.append({"type": "raised", "body": str(error).encode()})
    body = b"".join(message.get("body", b"") for message in sent)
    starts = [(message["status"], sorted(message["headers"])) for message in sent if "status" in message]
    return starts, body, sent[-1]["type"]


def app_like_litellms() -> FastAPI:
    """One endpoint for each way in which LiteLLM's answer."""
    app = FastAPI()

    def endpoint(path: str, answer: Any) -> None:
        async def called(
            request: Request,
            fastapi_response: Response,
            model: str | None = None,
            user_api_key_dict: UserAPIKeyAuth = CALLER,
        ) -> Any:
            fastapi_response.headers["x-litellm-call-id"] = "c-1"
            assert await request.json() == {"model": "m"}
            assert user_api_key_dict.metadata[EXCHANGE_ID] == "r-1"
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer

        app.post(path, dependencies=[Depends(user_api_key_auth)], response_model=None)(called)

    async def parts() -> Any:
        yield "data: 1\n\n"
        yield "data: [DONE]\n\n"

    endpoint("/model", ModelResponse(id="a", created=1, model="m"))
    endpoint("/large", ModelResponse(id="a", created=10**20, model="m"))
    endpoint("/mapping", {"id": "a", "Größe": [1, None, "ß"]})
    endpoint("/response", lambda: Response(b"{}", 201, {"x-one": "1"}, "application/json"))
    endpoint("/stream", lambda: StreamingResponse(parts(), media_type="text/event-stream", headers={"x-one": "1"}))
    endpoint("/refused", HTTPException(422, "no", {"retry-after": "3"}))
    endpoint("/proxy", ProxyException("no", "bad", "model", 429))
    endpoint("/broken", ValueError("a fault"))
    for kind, handler in proxy_server.app.exception_handlers.items():
        app.exception_handlers[kind] = handler
    app.dependency_overrides[user_api_key_auth] = lambda: UserAPIKeyAuth(metadata={EXCHANGE_ID: "r-1", ATTEMPT: 1})
    return app


@pytest.mark.parametrize(
    "path", ["/model", "/large", "/mapping", "/response", "/stream", "/refused", "/proxy", "/broken"]
)
async def test_the_answer_is_what_fastapi_would_have_sent(path: str) -> None:
    app = app_like_litellms()
    direct = DirectEndpoints(app)
    mine = await asked(direct, path, by_the_edge=True)
    theirs = await asked(app, path, by_the_edge=False)
    assert mine == theirs
    assert direct._endpoints[path] is not None  # and it was not FastAPI that answered both times


async def test_what_does_not_come_from_the_edge_takes_the_apps_own_way() -> None:
    app = app_like_litellms()
    direct = DirectEndpoints(app)
    del app.dependency_overrides[user_api_key_auth]
    called: list[str] = []

    def who() -> UserAPIKeyAuth:
        called.append("asked who it is")
        return UserAPIKeyAuth(metadata={EXCHANGE_ID: "r-1"})

    app.dependency_overrides[user_api_key_auth] = who
    await asked(direct, "/mapping", by_the_edge=False)
    assert called == ["asked who it is"]
    assert not direct._endpoints


async def test_a_path_that_is_not_there_yet_is_looked_for_again() -> None:
    app = FastAPI()
    direct = DirectEndpoints(app)
    starts, *_ = await asked(direct, "/mapping", by_the_edge=True)
    assert starts[0][0] == 404
    app.router.routes.extend(app_like_litellms().routes)
    starts, *_ = await asked(direct, "/mapping", by_the_edge=True)
    assert starts[0][0] == 200


def needs_more() -> Iterator[Any]:
    """Endpoints that FastAPI has to call."""

    async def with_header(request: Request, more: str = "") -> None: ...

    async def with_model(request: Request) -> None: ...

    async def guarded(request: Request) -> None: ...

    yield with_header, {}
    yield with_model, {"response_model": dict[str, int]}
    yield guarded, {"dependencies": [Depends(lambda: None)]}
    yield guarded, {"status_code": 201}


@pytest.mark.parametrize(("function", "options"), list(needs_more()))
def test_an_endpoint_that_needs_more_is_left_to_fastapi(function: Any, options: dict[str, Any]) -> None:
    app = FastAPI()
    app.post("/x", **options)(function)
    assert not is_simple_route(route_of(app, "/x"))


@pytest.mark.parametrize("path", sorted({f"/v1{route.row.path}" for route in Route} - {LAZY}))
def test_litellms_own_endpoints_can_be_called(path: str) -> None:
    assert is_simple_route(route_of(proxy_server.app, path))


def test_a_middleware_that_stays_has_fastapi_call_the_endpoints() -> None:
    assert is_possible(FastAPI())
    assert not is_possible(FastAPI(middleware=[Middleware(TrustedHostMiddleware)]))
