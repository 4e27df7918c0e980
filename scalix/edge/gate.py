"""The front door: an ASGI app around LiteLLM's, and the only way in."""

import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from scalix.domain.error_statuses import status_of
from scalix.domain.errors import (
    BadRequest,
    GatewayError,
    InternalError,
    InvalidApiKey,
    NoWebSockets,
    RouteNotFound,
    StoreIsDown,
)
from scalix.domain.faults import shown_fault
from scalix.domain.redaction.foreign_texts import shown_text
from scalix.domain.requests.request_ids import HEADER, told
from scalix.domain.requests.request_ids import request_id as id_for
from scalix.domain.requests.routes import Route
from scalix.edge.access_log import ASKED, AccessLog, Asked, code_told
from scalix.edge.answer_headers import routed_headers
from scalix.edge.asgi import (
    API_PORT,
    WHOLE_ANSWER,
    ClientSend,
    Receive,
    Scope,
    Send,
    credential_of,
    header,
    is_anthropics,
    not_taken,
    second_token_of,
    send_bytes,
)
from scalix.edge.bodies import ClientGone
from scalix.edge.cors import answer_preflight, cors_headers, is_preflight, with_headers
from scalix.edge.dispatch import Dispatcher
from scalix.edge.early_refusals import PRINCIPAL, EarlyRefusals
from scalix.edge.errors import Answered, error_body, error_headers, is_always_alike, plain_answer
from scalix.edge.forwarding import Forwarding
from scalix.edge.guard import Guard, queued_headers
from scalix.edge.guard_bodies import paced
from scalix.edge.lifespan import Lifespan
from scalix.edge.quota_headers import State, quota_headers
from scalix.edge.routes import find
from scalix.edge.spellings import normalise_path
from scalix.edge.traces import Traces
from scalix.service.clock import now_ms
from scalix.service.identity.identity import Identity
from scalix.store.base import StoreUnavailable
from scalix.store.connection.deadline import grant_store_time

log = logging.getLogger("scalix.edge")


@dataclass(frozen=True, slots=True)
class Observers:
    """Who is told how requests end: `refused` of each refusal, `told` of the code of each error that was answered, of
    admitted requests too, `access` and `traces` of each answer."""

    refused: Callable[[GatewayError, Scope], None]
    told: Callable[[str], None]
    access: AccessLog | None = None
    traces: Traces | None = None

    def began(self, scope: Scope) -> None:
        """Tell of a request that has come."""
        if self.traces is not None:
            self.traces.begin(scope)

    def ended(
        self, scope: Scope, request_id: str, status: int, began_s: float, error: GatewayError | None = None
    ) -> None:
        """Tell of an answer; status 0: there was nobody to answer. `began_s` is of `time.perf_counter`."""
        if code := code_told(scope, error):
            self.told(code)
        if self.traces is not None:
            self.traces.ended(scope, request_id, status, error.code if error is not None else "")
        if self.access is not None:
            self.access.note(scope, request_id, status, time.perf_counter() - began_s, error)


class Pages(Protocol):
    """What answers browsers. A refusal is raised after its page was sent, for those who are told of refusals."""

    def are_alone_at(self, scope: Scope) -> bool:
        """Whether a request has come to a port where nothing else is. Notes `API_PORT` then."""
        ...

    def takes(self, path: str) -> bool:
        """Whether a path is one of its own."""
        ...

    async def handle(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        ...


class Gate:
    """Finds the route, finds out who calls, and hands over. Every error becomes one answer here."""

    def __init__(
        self,
        identity: Identity,
        forwarding: Forwarding,
        own: Dispatcher,
        lifespan: Lifespan,
        guard: Guard,
        observers: Observers,
    ) -> None:
        self.pages: Pages | None = None  # what answers browsers, where there are pages
        self.reload = lifespan.reload  # for the worker, at a reload
        self.leave, self.drain = lifespan.leave, guard.drain  # for the worker, when it is to end
        self.config_version = guard.config_version  # for the worker, which says it in every answer
        self._identity = identity
        self._forwarding = forwarding
        self._own = own
        self._lifespan = lifespan
        self._guard = guard
        self._observers = observers
        self._early = EarlyRefusals(identity, forwarding, guard)
        self.refusable_paths = self._early.paths  # of these, the server asks `refuse_at_once`

    @property
    def start_problem(self) -> str:
        """For the worker: why the start has failed."""
        return self._lifespan.problem

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._lifespan.run(scope, receive, send)
        elif scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no WebSockets here"})

    def refuse_at_once(self, scope: Scope, body: bytes) -> Answered | None:
        """The whole answer to a `POST` to one of `refusable_paths`, if it is refused by what is known already: status,
        body and headers, the length's and the type's left out. `None`: it is to be called as usual."""
        began_s = time.perf_counter()
        request_id = _id_of(scope)
        self._observers.began(scope)
        try:
            if self._guard.settings.cors_origins and header(scope, b"origin") is not None:
                return None
            error = self._early.refusal(scope, body)
            if error is None or (self.pages is not None and self.pages.are_alone_at(scope)):
                return None
            answer = self._answer(scope, request_id, error)
        except Exception as fault:
            log.error("a request could not be judged at once: %s", shown_fault(fault))
            return None  # the usual way tells the client, and has a request id for it
        self._observers.refused(error, scope)
        self._observers.ended(scope, request_id, answer[0], began_s, error)
        return answer

    def unreadable(self, status: int) -> None:
        """For the server: what was refused with `status` was no request, or had too large a head."""
        scope = {"method": "-", "path": "-"}
        if self._observers.access is not None:
            self._observers.access.note(scope, secrets.token_hex(16), status, 0.0)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        request_id = _id_of(scope)
        began_s = time.perf_counter()
        self._observers.began(scope)
        origins = self._guard.settings.cors_origins
        if origins and (shared := cors_headers(scope, origins)):
            send = with_headers(send, shared)
            scope.pop(WHOLE_ANSWER, None)  # it would go out without them
        to_client = ClientSend(scope, send)
        error: GatewayError | None = None
        try:
            error = await self._answered(request_id, scope, receive, to_client)
            if error is not None:
                self._observers.refused(error, scope)
                if not to_client.status:
                    status, body, headers = self._answer(scope, request_id, error)
                    asked: Asked | None = scope.get(ASKED)
                    headers += queued_headers(scope) + routed_headers(asked.routed if asked is not None else "")
                    await send_bytes(to_client, status, body, headers)
        finally:
            self._observers.ended(scope, request_id, to_client.status, began_s, error)

    async def _answered(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> GatewayError | None:
        """Serve one request, or say why not. `None`: it has been served, or there is nobody to answer."""
        self._guard.addresses.of(scope)

        try:
            if PRINCIPAL not in scope:
                normalise_path(scope)  # first, as the shape of a refusal goes by the path
                self._guard.check(scope)
                await self._check_second_credential(scope)
            await self._dispatch(request_id, scope, receive, send)
            return None
        except ClientGone:
            return None
        except InvalidApiKey as refused:
            await self._guard.refused(scope)
            return refused
        except GatewayError as refused:
            return refused
        except StoreUnavailable as fault:
            log.warning("request %s: %s", request_id, fault)
            message = "The gateway's store is not available right now. Try again shortly."
            return StoreIsDown(message, retry_after_s=5, reason=str(fault))
        except Exception as error:
            log.error("request %s failed inside the gateway: %s", request_id, shown_fault(error))
            return InternalError(f"The gateway failed. Tell its operator the request id {told(request_id)}.")

    async def _check_second_credential(self, scope: Scope) -> None:
        """Of two credentials that of `Authorization` counts. If both are right, and say two users, nobody can know who
        is meant. Raises `BadRequest`."""
        second = second_token_of(scope)
        if second is None:
            return
        try:
            credential = credential_of(scope)
            beside = await self._identity.authenticate(replace(credential, token=second))
            caller = await self._identity.authenticate(credential)
        except (GatewayError, StoreUnavailable):
            return  # the one that counts is judged where it is used
        if str(beside.subject) != str(caller.subject):
            raise BadRequest("The headers hold two keys, of two users. Send one of them.")

    def _answer(self, scope: Scope, request_id: str, error: GatewayError) -> Answered:
        anthropic = is_anthropics(scope)
        answer = error.answers.get(anthropic) if error.answers else None
        if answer is None and is_always_alike(error):
            answer = plain_answer(error, anthropic=anthropic)
        elif answer is None:
            headers = error_headers(error)
            states: list[State] = [*error.windows, *error.key_states]
            headers += quota_headers(error.tier, error.details.get("upgrade_url"), states, now_ms())
            answer = status_of(error), error_body(error, anthropic=anthropic), headers
            if error.answers is not None:
                error.answers[anthropic] = answer
        status, body, headers = answer
        return status, body, [(HEADER, told(request_id).encode()), *headers]

    async def _dispatch(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        methods = find(path, scope["raw_path"])
        if self.pages is not None and self.pages.are_alone_at(scope):
            methods = None
        if methods is None and self.pages is not None and self.pages.takes(path):
            await self.pages.handle(request_id, scope, paced(receive), send)
            return
        if methods is None and API_PORT in scope:
            raise RouteNotFound(
                f"This port has pages alone: / and what is below /ui and /me. The API is at port {scope[API_PORT]}."
            )
        if methods is None:
            raise RouteNotFound(f"There is no {shown_text(path, 200)} here. The README lists the routes.")
        if (header(scope, b"upgrade") or "").lower() == "websocket":
            raise NoWebSockets("There are no WebSockets here. Send the request by HTTP, and stream the answer.")
        if scope["method"] == "OPTIONS" and self._guard.settings.cors_origins and is_preflight(scope):
            await answer_preflight(scope, send)
            return
        # As `method_of` says, without a call for each request.
        target = methods.get("GET" if scope["method"] == "HEAD" else scope["method"])
        if target is None:
            raise not_taken(shown_text(path, 200), scope["method"], methods)
        if isinstance(target, Route):
            grant_store_time()
            principal = scope.pop(PRINCIPAL, None) or await self._identity.authenticate(credential_of(scope))
            with self._guard.metered(scope, receive, principal) as body:
                await self._forwarding.handle(target, request_id, principal, scope, body, send)
        else:
            await self._own.handle(target, request_id, scope, paced(receive), send)


def _id_of(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == HEADER:
            return id_for(value.decode("latin-1"), secrets.token_hex, now_ms())
    return id_for(None, secrets.token_hex, now_ms())
