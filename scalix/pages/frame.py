"""Answers browsers: finds the row, finds out who is signed in, lets the view work, and renders its template."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from scalix.domain.error_statuses import status_of
from scalix.domain.errors import (
    BadRequest,
    GatewayError,
    InternalError,
    InvalidApiKey,
    MethodNotAllowed,
    NotPermitted,
    RouteNotFound,
    StoreIsDown,
)
from scalix.domain.requests.request_ids import HEADER, told
from scalix.edge.asgi import Header, Receive, Scope, Send, address_of, header, method_of, not_taken, send_bytes
from scalix.edge.bodies import ClientGone
from scalix.edge.guard import Guard
from scalix.edge.routes import PAGE
from scalix.edge.unmetered_reads import Turns, while_there
from scalix.pages.answers import Answer, asset_sent, redirect
from scalix.pages.assets import PREFIX, asset_at
from scalix.pages.cookies import (
    ELSEWHERE,
    MOST_NOTICE_BYTES,
    NOTICE,
    SESSION,
    THEME,
    THEMES,
    check_origin,
    cookie_of,
    notice_cookie,
    own_cookie_of,
)
from scalix.pages.doors import Doors
from scalix.pages.finding import PathTable, path_to
from scalix.pages.forms import read_form
from scalix.pages.layout import SIGN_IN, Layout
from scalix.pages.rendering import Renderer
from scalix.pages.rows import Done, Download, PageRequest, PageRow, Role, Services, Shown
from scalix.service.identity.sign_ins import SignedIn, SignIns
from scalix.store.base import StoreUnavailable
from scalix.store.connection.deadline import PATIENT_MS, grant_store_time

_PART = b"x-scalix-part"
_NOTICE = "notice:"  # what is signed as a session is no notice
FORM_TOKEN = "form_token"  # noqa: S105 - the name of a field
_MOST_OF_ONE = 6
"""Views of an operator's session, or of a user, at once, those that wait included: the connections of a browser."""
_ROOTS = ("/ui", "/me")
_WRONG_ROLE = {
    Role.OPERATOR: "These pages are the operator's. Yours are at /me.",
    Role.USER: "These pages are users'. The operator's are at /ui.",
}


@dataclass(slots=True)
class Visit:
    """One request of a browser, as it becomes known."""

    scope: Scope
    receive: Receive
    asked: PageRequest
    row: PageRow | None = None
    error: GatewayError | None = None
    headers: list[Header] = field(default_factory=list)


class Frame:
    """The pages, as the gate calls them. `now_ms` is Unix time."""

    def __init__(
        self,
        table: PathTable,
        services: Services,
        doors: Doors,
        guard: Guard,
        now_ms: Callable[[], int],
    ) -> None:
        self._table = table
        self._doors = doors
        self.are_alone_at = doors.are_alone_at
        self._services = services
        self._sign_ins = services[SignIns]
        self._guard = guard
        self._now_ms = now_ms
        self._renderer = Renderer()
        self._turns = Turns("pages")
        self._nav = {
            role: tuple(row for row in table.rows if row.role is role and row.label)
            for role in (Role.USER, Role.OPERATOR)
        }

    def takes(self, path: str) -> bool:
        """Whether a path is one of the pages', found or not."""
        if not self._doors.settings.enabled:
            return False
        return path == "/" or path in _ROOTS or path.startswith((PREFIX, *(f"{root}/" for root in _ROOTS)))

    async def handle(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. What is refused is raised once its page was sent."""
        if scope["path"].startswith(PREFIX) and (asset := asset_at(scope["path"])) and method_of(scope) == "GET":
            headers, body = asset_sent(asset, scope)
            await send_bytes(send, 200, body, headers, asset.content_type)
            return
        grant_store_time(PATIENT_MS)
        visit = Visit(scope, receive, PageRequest(scope, request_id, self._now_ms()))
        refused: Exception | None = None
        try:
            answering = self._answer(visit)
            answer = await (while_there(receive, answering) if method_of(scope) == "GET" else answering)
            refused = visit.error
        except ClientGone:
            raise
        except Exception as error:
            refused, visit.error = error, _as_told(error, request_id)
            answer = await self._problem(visit)
        headers, body = answer.sent(scope)
        headers += [(HEADER, told(request_id).encode()), *visit.headers]
        await send_bytes(send, answer.status, body, headers, answer.content_type)
        if refused is not None:
            raise refused

    async def _answer(self, visit: Visit) -> Answer:
        scope, asked = visit.scope, visit.asked
        if scope["path"].startswith("/ui") and not self._doors.opens_ui(scope):
            raise RouteNotFound("There is no page here.")
        found = self._table.find(scope["raw_path"])
        cookie = own_cookie_of(scope, SESSION)
        if cookie:
            asked.signed_in = await self._sign_ins.signed_in(cookie, address_of(scope))
        if found is None:
            raise RouteNotFound("There is no page here.")
        asked.names, row = found.names, found.methods.get(method_of(scope))
        scope[PAGE] = found.shown
        if row is None:
            raise not_taken("This page", scope["method"], found.methods)
        visit.row = row
        if row.role is not Role.ANYBODY and asked.role is not row.role:
            if asked.signed_in is not None:
                raise NotPermitted(_WRONG_ROLE[row.role])
            return redirect(path_to(SIGN_IN[row.role], to=_asked_for(scope) if method_of(scope) == "GET" else ""))
        if row.method == "POST":
            return await self._act(visit, row)
        if asked.signed_in is None:
            return await self._show(visit, row)
        who = asked.signed_in.id if asked.role is Role.OPERATOR else str(asked.caller.subject)
        async with self._turns.turn(who, _MOST_OF_ONE):
            return await self._show(visit, row)

    async def _show(self, visit: Visit, row: PageRow) -> Answer:
        """A page, or a part of it. An act that has failed shows the page it belongs to."""
        part = header(visit.scope, _PART)
        view = row.parts.get(part, row.view) if part else row.view
        context = await view(self._services, visit.asked)
        if isinstance(context, Done):
            return redirect(context.to, context.headers)
        given = {**context, "page": await self._layout(visit, row)}
        body = self._renderer.part(row.template, part, given) if part else self._renderer.page(row.template, given)
        if body is None:
            raise RouteNotFound("This page has no such part.")
        return Answer(200 if visit.error is None else status_of(visit.error), body)

    async def _act(self, visit: Visit, row: PageRow) -> Answer:
        asked = visit.asked
        check_origin(visit.scope)
        asked.form = await read_form(visit.scope, visit.receive)
        # To sign in takes a secret of its own, and the page with the form may have been opened from another site, which
        # hides from us that somebody is signed in already.
        if asked.signed_in is not None and row.role is not Role.ANYBODY:
            token = asked.form.get(FORM_TOKEN, "")
            if not await self._sign_ins.is_form_token(asked.signed_in.id, token):
                raise NotPermitted(ELSEWHERE)
        try:
            _check_confirmed(row, asked)
            done = await row.view(self._services, asked)
        except GatewayError as error:
            of = self._table.page_of(row)
            if of is None:
                raise
            if isinstance(error, InvalidApiKey):
                await self._guard.wrong_credential(visit.scope)
            visit.error = error
            return await self._show(visit, of)
        if isinstance(done, Shown):
            given = {**done.context, "page": await self._layout(visit, row)}
            return Answer(200, self._renderer.page(done.template, given), secret=True)
        if isinstance(done, Download):
            named = (b"content-disposition", f'attachment; filename="{done.name}"'.encode("ascii"))
            return Answer(200, done.body, (named,), done.content_type, secret=True)
        headers = list(done.headers)
        if done.notice:
            kept = done.notice.encode()[:MOST_NOTICE_BYTES].decode(errors="ignore")
            kept += "…" if len(kept) < len(done.notice) else ""
            signed = await self._sign_ins.signed(_NOTICE + kept.encode().hex())
            headers.append(notice_cookie(signed, visit.scope))
        return redirect(done.to or path_to(row.of, *asked.names.values()), headers)

    async def _layout(self, visit: Visit, row: PageRow | None) -> Layout:
        scope, asked = visit.scope, visit.asked
        theme, notice = cookie_of(scope, THEME), own_cookie_of(scope, NOTICE)
        layout = Layout(
            path=scope["raw_path"].decode("latin-1"),
            now_ms=asked.now_ms,
            role=asked.role,
            nav=self._nav.get(asked.role, ()),
            theme=theme if theme in THEMES else "",
            error=visit.error,
            form=asked.form,
        )
        if row is not None:
            layout.current, layout.label = _in_nav(row.of or row.path, layout.nav), row.label
        if row is not None and row.method == "GET" and method_of(scope) == "GET":
            layout.query = asked.query
        if scope["method"] == "POST":
            layout.acted = layout.path
            layout.path = path_to(row.path, *asked.names.values()) if row is not None else layout.path
        if asked.signed_in is not None:
            layout.who = _shown_subject(asked.signed_in)
            layout.form_token = await self._sign_ins.form_token(asked.signed_in.id)
        if notice and header(scope, _PART) is None:
            text = await self._sign_ins.unsigned(notice) or ""
            layout.notice = bytes.fromhex(text.removeprefix(_NOTICE)).decode() if text.startswith(_NOTICE) else ""
            visit.headers.append(notice_cookie("", scope))
        return layout

    async def _problem(self, visit: Visit) -> Answer:
        """A page that says what is wrong, in the layout as far as it is known."""
        error = visit.error or InternalError("The gateway failed.")
        try:
            layout = await self._layout(replace(visit, error=None), None)
        except (StoreUnavailable, GatewayError):
            layout = Layout(path=visit.scope["path"], now_ms=visit.asked.now_ms)
        status = status_of(error)
        layout.request_id = told(visit.asked.request_id) if status >= 500 else ""
        headers: list[Header] = []
        if isinstance(error, MethodNotAllowed):
            headers.append((b"allow", ", ".join(error.allow).encode()))
        if error.retry_after_s is not None:
            headers.append((b"retry-after", str(error.retry_after_s).encode()))
        context: dict[str, Any] = {"page": layout, "status": status, "message": error.message}
        return Answer(status, self._renderer.page("problem.html", context), tuple(headers))


def _as_told(error: Exception, request_id: str) -> GatewayError:
    """What a browser is told of an error."""
    if isinstance(error, GatewayError) and not isinstance(error, InternalError):
        return error
    if isinstance(error, StoreUnavailable):
        message = (
            "The gateway's store is not available right now, and pages are made of what it holds. Try again shortly."
        )
        return StoreIsDown(message, retry_after_s=5)
    return InternalError(f"The gateway failed. Tell its operator the request id {told(request_id)}.")


def _check_confirmed(row: PageRow, asked: PageRequest) -> None:
    if not row.confirms:
        return
    word = asked.names.get(row.confirms) or asked.form.get(row.confirms, "")
    if not word.strip() or asked.form.get("confirm", "").strip() != word.strip():
        raise BadRequest("This is not what has to be typed here. Nothing was done.", param="confirm")


def _in_nav(path: str, nav: Sequence[PageRow]) -> str:
    """The page of the navigation that a path belongs to: the nearest one above it."""
    above = [row.path for row in nav if path == row.path or path.startswith(f"{row.path}/")]
    return max(above, key=len, default="")


def _asked_for(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return str(scope["raw_path"].decode("latin-1")) + (f"?{query}" if query else "")


def _shown_subject(signed_in: SignedIn) -> str:
    subject = signed_in.caller.subject
    return subject.name if subject.kind == "user" else "Operator"
