"""`GET` and `DELETE /v1/responses/{id}`: answers that a provider keeps, for those to whom they were given.

They cost nobody anything, and a tier that has lost a model keeps what it was answered. The provider that made an
answer is asked; of what it says of a failure nothing is passed on.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import unquote_to_bytes

import orjson

from scalix.domain.answers.responses import ResponseShape
from scalix.domain.errors import BadRequest, GatewayError, ObjectNotFound
from scalix.domain.failures import REFUSALS, class_of_exception
from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.routes import Route
from scalix.edge.answer_repairs import drop_cost
from scalix.edge.asgi import Message, credential_of
from scalix.edge.failure_texts import provider_failed
from scalix.edge.given_ids import GivenIds
from scalix.edge.guard import Guard
from scalix.edge.per_second import PerSecond
from scalix.edge.rows import Access, Request, Row
from scalix.edge.tables import Page
from scalix.edge.user_header import take_user
from scalix.service.exchange.object_ids import ObjectIds
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.store.base import StoreUnavailable

PATIENCE_S = 30.0
_PREFIXES = ("/v1/responses/", "/responses/")
# By these a provider says that it has no such answer, or no such path, as a server that keeps none.
_NOT_THERE = frozenset({404, 405, 410})

log = logging.getLogger("scalix.edge")


class Keeper(Protocol):
    """The deployment that keeps an answer. Its errors are those of the call."""

    @property
    def model(self) -> str:
        """The public name of the model; with a `*` where it serves many."""
        ...

    async def get(self) -> dict[str, Any]:
        """The answer."""
        ...

    async def delete(self) -> None:
        """Have it forgotten."""
        ...


FindKeeper = Callable[[str], Keeper | None]
"""The keeper of the answer with this id, if its deployment is still there."""


def keeps_nothing(ident: str) -> Keeper | None:
    """No provider keeps anything."""
    return None


class StoredAnswers:
    """Answers callers about their own. `ids` knows what was given to whom."""

    def __init__(self, identity: Identity, ids: ObjectIds, guard: Guard, keeper_of: FindKeeper) -> None:
        self._identity = identity
        self._ids = ids
        self._guard = guard
        self._keeper_of = keeper_of
        self._pace = PerSecond("responses-second", "Stored responses are read and deleted")

    async def answer(self, asked: Request) -> Page:
        """The answer to one request. Raises `GatewayError`s, `StoreUnavailable`."""
        scope = asked.scope
        holder = await self._identity.authenticate(credential_of(scope))
        with self._guard.metered(scope, _no_body, holder):
            query: dict[str, Any] = dict(asked.query)
            take_user(self._guard.user_header, scope, holder, query)
            caller = await self._identity.charged_caller(holder, query)
            with suppress(StoreUnavailable):  # no admission follows that would see what was revoked
                caller = caller if caller.reread is None else await caller.reread()
            self._guard.check_load(caller)
            self._pace.note(str(caller.subject))
            if query.pop("stream", "false").lower() not in ("false", "0", ""):
                raise BadRequest("A stored response is not streamed here. Leave 'stream' out.", param="stream")
            query.pop("user", None)
            given = response_in(scope["raw_path"])
            ident = await self._known(caller, given)
            keeper = self._keeper_of(ident)
            if keeper is None:
                raise _not_found()
            if scope["method"] == "DELETE":
                await _asked(keeper, keeper.delete)
                answer: dict[str, Any] = {"id": given, "object": "response", "deleted": True}
            else:
                answer = await _asked(keeper, keeper.get)
                self._complete(answer, keeper.model, caller, given)
        headers = ((b"x-scalix-dropped", str(Dropped(query)).encode()),) if query else ()
        return Page(orjson.dumps(answer), headers=headers)

    async def _known(self, caller: Caller, given: str) -> str:
        """The id as the engine knows it, if it was given to the caller."""
        body = {"response_id": given}
        named = await self._ids.taken(caller.subject, body)
        if named.are_refused(caller):
            raise _not_found()
        return body["response_id"]

    def _complete(self, answer: dict[str, Any], model: str, caller: Caller, given: str) -> None:
        drop_cost(answer)
        created_s = answer.get("created_at")
        named = model.replace("*", str(answer.get("model") or "*"), 1)
        ResponseShape(named, {}, lambda: int(created_s or 0)).response(answer)
        give = self._ids.giver(caller.subject)
        if give is not None:
            GivenIds(Route.RESPONSES, give).rewrite(answer, is_whole=True)
        answer["id"] = given


STORED_ROWS: tuple[Row[StoredAnswers], ...] = tuple(
    Row(
        method,
        "/v1/responses/{id}",
        StoredAnswers.answer,
        Access.CALLERS,
        also=("/responses/{id}",),
        query=("user",),
    )
    for method in ("GET", "DELETE")
)


def response_in(raw_path: bytes) -> str:
    """The id of the answer that a path names, as it was before percent-encoding; empty for a path that names none."""
    text = raw_path.decode("latin-1")
    prefix = next((prefix for prefix in _PREFIXES if text.startswith(prefix)), None)
    ident = text.removeprefix(prefix) if prefix else ""
    return "" if "/" in ident else unquote_to_bytes(ident).decode("utf-8", "replace")


async def _no_body() -> Message:
    return {"type": "http.disconnect"}


async def _asked(keeper: Keeper, call: Callable[[], Any]) -> Any:
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await call()
    except Exception as error:
        raise _failure(keeper.model, error) from None


def _failure(model: str, error: Exception) -> GatewayError:
    error_class = class_of_exception(error)
    if getattr(error, "status_code", None) in _NOT_THERE or error_class in REFUSALS:
        return _not_found()
    log.warning("the provider of %s was asked for a stored answer: %s", model, error_class)
    return provider_failed(model, error_class, None)


def _not_found() -> ObjectNotFound:
    message = (
        "There is no stored response with this id that was given to you here, or its provider does not have it any "
        "more. Responses are kept only where the provider of their model keeps them, and not with 'store': false."
    )
    return ObjectNotFound(message, param="response_id")
