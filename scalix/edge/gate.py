"""The front door: an ASGI app around LiteLLM's, and the only way in."""

import logging
import secrets
from collections.abc import Callable

from scalix.domain.errors import (
    GatewayError,
    InternalError,
    InvalidApiKey,
    MethodNotAllowed,
    RouteNotFound,
    StoreIsDown,
)
from scalix.domain.routes import Route
from scalix.edge.asgi import ASGIApp, Message, Receive, Scope, Send, credential_of, send_error
from scalix.edge.bodies import ClientGone
from scalix.edge.client_address import ClientAddresses
from scalix.edge.forwarding import Forwarding
from scalix.edge.guard import Guard
from scalix.edge.guard_bodies import paced
from scalix.edge.lifespan import Lifespan
from scalix.edge.own_routes import OwnRoutes
from scalix.edge.quota_headers import quota_headers
from scalix.edge.routes import find
from scalix.service.identity import Identity
from scalix.store.base import StoreUnavailable
from scalix.store.deadline import grant_store_time

log = logging.getLogger("scalix.edge")


class Gate:
    """Finds the route, finds out who calls, and hands over. Every error becomes one answer here."""

    def __init__(
        self,
        inner: ASGIApp,
        identity: Identity,
        forwarding: Forwarding,
        own: OwnRoutes,
        lifespan: Lifespan,
        *,
        now_ms: Callable[[], int],
        addresses: ClientAddresses,
        guard: Guard,
        reload: Callable[[], int] = lambda: 0,
    ) -> None:
        self.reload = reload  # for the worker, at a reload: puts the new policy in force and returns its number
        self._inner = inner
        self._identity = identity
        self._forwarding = forwarding
        self._own = own
        self._lifespan = lifespan
        self._addresses = addresses
        self._guard = guard
        self._now_ms = now_ms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan.run(self._inner, scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no WebSockets here"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = secrets.token_hex(16)
        self._addresses.of(scope)
        started = False

        async def noting_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        error: GatewayError
        try:
            self._guard.check(scope)
            await self._dispatch(request_id, scope, receive, noting_start)
            return
        except ClientGone:
            return
        except InvalidApiKey as refused:
            await self._guard.refused(scope)
            error = refused
        except GatewayError as refused:
            error = refused
        except StoreUnavailable as fault:
            log.warning("request %s: %s", request_id, fault)
            message = "The gateway's store is not available right now. Try again shortly."
            error = StoreIsDown(message, retry_after_s=5)
        except Exception:
            log.exception("request %s failed inside the gateway", request_id)
            error = InternalError(f"The gateway failed. Tell its operator the request id {request_id}.")
        if not started:
            headers = [(b"x-request-id", request_id.encode())]
            headers += quota_headers(error.tier, error.details.get("upgrade_url"), error.windows, self._now_ms())
            await send_error(send, error, headers, anthropic=scope["path"].endswith("/messages"))

    async def _dispatch(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        methods = find(path, scope["raw_path"])
        if methods is None:
            raise RouteNotFound(f"There is no {path[:200]} here. The README lists the routes.")
        target = methods.get(method)
        if target is None:
            refused = MethodNotAllowed(f"{path[:200]} takes {' or '.join(methods)}, not {method[:20]}.")
            refused.allow = tuple(methods)
            raise refused
        if isinstance(target, Route):
            grant_store_time()
            holder = await self._identity.authenticate(credential_of(scope))
            with self._guard.metered(scope, receive, holder) as body:
                await self._forwarding.handle(target, request_id, holder, scope, body, send)
        else:
            await self._own.handle(target, request_id, scope, paced(receive), send)
