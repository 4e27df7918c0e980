"""Calls LiteLLM's endpoints for the metered routes as the functions that they are.

FastAPI and Starlette take a request through eight layers, a table of hundreds of routes and a solver of dependencies
before LiteLLM's endpoint gets it. Behind the edge they have nothing to find out: the route is known, and so is who
calls. The endpoint, all that it calls and LiteLLM's handlers of exceptions are what they are in its own app.
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
from fastapi import FastAPI
from fastapi.encoders import jsonable_encoder
from litellm.proxy._types import UserAPIKeyAuth
from litellm.proxy.auth.user_api_key_auth import user_api_key_auth
from pydantic import BaseModel
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from scalix.litellm_adapter.bridge import marks_of
from scalix.litellm_adapter.seam_checks import APP, name_of, stand
from scalix.service.exchange.exchanges import Exchange

log = logging.getLogger("scalix.trimming")

Endpoint = Callable[..., Awaitable[Any]]
# What is known without FastAPI; an endpoint that asks for more is left to it.
_KNOWN = frozenset({"request", "fastapi_response", "user_api_key_dict", "model"})
# Middleware of LiteLLM's app that does nothing for a route which is there.
_HARMLESS = frozenset({"LazyFeatureMiddleware"})


class DirectEndpoints:
    """LiteLLM's app, with a shorter way for what the edge has admitted. All else takes the app's own."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._endpoints: dict[str, Endpoint | None] = {}
        handlers = dict(app.exception_handlers)
        of_anything = handlers.pop(Exception, None) or handlers.pop(500, None)
        self._direct: ASGIApp = ServerErrorMiddleware(ExceptionMiddleware(self._serve, handlers), handler=of_anything)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        endpoint = self._endpoint(scope["path"]) if isinstance(scope.get("scalix"), Exchange) else None
        if endpoint is None:
            await self._app(scope, receive, send)
        else:
            scope.update(app=self._app, path_params={}, endpoint=endpoint)
            await self._direct(scope, receive, send)

    def _endpoint(self, path: str) -> Endpoint | None:
        """LiteLLM's function for `path`; `None` if it needs FastAPI, or is not there yet: LiteLLM loads some routes at
        their first request."""
        if path not in self._endpoints and (route := route_of(self._app, path)) is not None:
            self._endpoints[path] = route.endpoint if is_simple_route(route) else None
        return self._endpoints.get(path)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        request, headers_of = Request(scope, receive, send), Response()
        del headers_of.headers["content-length"]  # the endpoint writes its own headers into it
        request.state.litellm_received_at = datetime.now(UTC)
        request.state.principal = None
        caller = edge_caller(scope["scalix"])
        caller.request_route = scope["path"]
        answer = await scope["endpoint"](request=request, fastapi_response=headers_of, user_api_key_dict=caller)
        response = answer if isinstance(answer, Response) else _rendered(answer, headers_of)
        await response(scope, receive, send)


def edge_caller(exchange: Exchange) -> UserAPIKeyAuth:
    """Who calls, as LiteLLM's authentication would have it from our `custom_auth`. Its checks of keys, routes, models,
    budgets and agents are passed by whoever has no key of its."""
    caller = UserAPIKeyAuth(metadata=marks_of(exchange))
    caller.authenticated_by_custom_auth = True
    return caller


def is_possible(app: FastAPI, idle: Collection[str] = ()) -> bool:
    """Whether nothing stands around LiteLLM's endpoints that has something to do. `idle`: middleware that has not."""
    if not stand(f"{APP}.user_middleware", f"{APP}.exception_handlers"):
        return False
    around = {name_of(entry) for entry in app.user_middleware} - _HARMLESS - {*idle}
    if around:
        log.info("LiteLLM's endpoints are called through FastAPI, because of %s", ", ".join(sorted(around)))
    return not around


def route_of(app: FastAPI, path: str) -> Any:
    """The route of LiteLLM's `app` for a `POST` to `path`, `None` if it has none (yet)."""
    for route in _routes(app.routes):
        if getattr(route, "path", None) == path and "POST" in (getattr(route, "methods", None) or ()):
            return route
    return None


def _routes(routes: Iterable[Any]) -> Iterator[Any]:
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is None:
            yield route
        elif not getattr(getattr(route, "include_context", None), "dependencies", None):
            yield from _routes(included.routes)


def is_simple_route(route: Any) -> bool:
    """Whether a route needs nothing but the request and who calls, and answers with what its function returns."""
    dependant = getattr(route, "dependant", None)
    return (
        dependant is not None
        and all(one.call is user_api_key_auth for one in dependant.dependencies)
        and inspect.signature(route.endpoint).parameters.keys() <= _KNOWN
        and not dependant.body_params
        and route.response_field is None
        and route.status_code is None
    )


def _rendered(answer: Any, headers_of: Response) -> Response:
    """What an endpoint has returned, as FastAPI would have sent it."""
    response: Response
    try:
        if not isinstance(answer, BaseModel):
            raise TypeError
        content = orjson.dumps(answer.model_dump(mode="json", by_alias=True, exclude_none=False, exclude_unset=False))
        response = Response(content, media_type="application/json")
    except TypeError:  # there are numbers of more than 64 bits
        response = JSONResponse(jsonable_encoder(answer))
    response.status_code = headers_of.status_code
    response.headers.raw.extend(headers_of.headers.raw)
    return response
