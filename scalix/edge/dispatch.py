"""Answers the routes that are not metered, by their rows."""

from collections.abc import Awaitable, Callable
from typing import Any

from scalix.domain.requests.request_ids import HEADER, told
from scalix.edge.asgi import Receive, Scope, Send, address_of, send_bytes
from scalix.edge.bodies import read_json
from scalix.edge.rows import Access, Answers, Request, Row, caller_now, operator_of
from scalix.edge.tables import Page, answer_page
from scalix.edge.unmetered_reads import while_there
from scalix.service.identity.identity import Identity
from scalix.service.self_service.turns import Person


class Dispatcher:
    """Lets in who may use a route, reads the body, and sends what the row answers.

    `refuse_nobodys` raises `BadRequest` for the id of a user that nobody may use.
    """

    def __init__(
        self, identity: Identity, answers: Answers, refuse_nobodys: Callable[[object], Awaitable[None]]
    ) -> None:
        self.answers = answers
        self._identity = identity
        self._refuse_nobodys = refuse_nobodys

    async def handle(self, row: Row[Any], request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises `GatewayError`s."""
        asked = Request(scope, receive, request_id)
        if row.access is Access.OPERATORS and not row.checks_access:
            asked.operator = await operator_of(self._identity, scope)
        if row.access is Access.USERS:
            asked.person = Person.of(await caller_now(self._identity, scope), request_id, address_of(scope))
        if row.body is not None:
            body = await read_json(scope, receive, optional=row.may_be_empty)
            if row.names_user:
                await self._refuse_nobodys(body.get("user_id"))
            asked.body = row.body.read(body)
        answering = self.answers[row](asked)
        is_view = row.method == "GET" and asked.operator is not None
        answer = await (while_there(receive, answering) if is_view else answering)
        page = answer if isinstance(answer, Page) else await answer_page(answer)
        headers = [(HEADER, told(request_id).encode()), *page.headers]
        await send_bytes(send, page.status, page.body, headers, page.content_type)
