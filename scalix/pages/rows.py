"""What one page is: method, path, who may see it, what it shows, and the template that shows it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeVar

from scalix.domain.errors import BadRequest, InternalError
from scalix.edge.asgi import JSON, Header, Scope, address_of
from scalix.edge.queries import query_of
from scalix.service.audit.audit import Actor
from scalix.service.identity.callers import Caller
from scalix.service.identity.holders import NOT_SIGNED_IN
from scalix.service.identity.sign_ins import SignedIn

Service = TypeVar("Service")
Context = Mapping[str, Any]


class Role(StrEnum):
    """Who may see a page."""

    ANYBODY = "anybody"
    USER = "user"
    OPERATOR = "operator"


class Services:
    """The use cases that pages show and act by, each by its class: `services[Reporting]`."""

    def __init__(self, *parts: object) -> None:
        self._parts = {type(part): part for part in parts}

    def __getitem__(self, kind: type[Service]) -> Service:
        found = self._parts.get(kind)
        if not isinstance(found, kind):
            raise InternalError(f"pages have no {kind.__name__}: name it in wiring/pages.py")
        return found


@dataclass(slots=True)
class PageRequest:
    """What a view is given. `names` are the `{name}`s of the path, decoded; `form` is what was sent with an act.
    `now_ms` is Unix time."""

    scope: Scope
    request_id: str
    now_ms: int
    names: Mapping[str, str] = field(default_factory=dict)
    signed_in: SignedIn | None = None
    form: Mapping[str, str] = field(default_factory=dict)

    @property
    def query(self) -> dict[str, str]:
        """The URL's parameters, those that are empty left out, as a form of filters sends them. Raises `BadRequest`."""
        return {name: value for name, value in query_of(self.scope).items() if value}

    @property
    def role(self) -> Role:
        """Who is signed in."""
        if self.signed_in is None:
            return Role.ANYBODY
        return Role.OPERATOR if self.signed_in.sign_in.is_operators else Role.USER

    @property
    def session(self) -> SignedIn:
        """What the browser is signed in by. A fault on a page that anybody may see."""
        if self.signed_in is None:
            raise InternalError(NOT_SIGNED_IN)
        return self.signed_in

    @property
    def caller(self) -> Caller:
        """Who that is."""
        return self.session.caller

    @property
    def by(self) -> Actor:
        """Who acts, as the audit log records it; `anybody` who is not signed in."""
        name = "anybody" if self.signed_in is None else str(self.caller.subject)
        return Actor(name, self.request_id, address_of(self.scope))

    def field(self, name: str) -> str:
        """A field of the form, without spaces around. Raises `BadRequest` where it is empty."""
        value = self.form.get(name, "").strip()
        if not value:
            raise BadRequest("This field is empty.", param=name)
        return value


@dataclass(frozen=True, slots=True)
class Done:
    """An act is done: the browser goes to the page `to` (by default the act's), which says `notice`."""

    notice: str = ""
    to: str = ""
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """What an act shows at once, and only this once, such as a new key: it is neither kept nor compressed."""

    template: str
    context: Context


@dataclass(frozen=True, slots=True)
class Download:
    """What an act gives to keep as a file, neither shown nor kept here."""

    name: str
    body: bytes
    content_type: bytes = JSON


A_PAGE = "50"
"""How many rows a list shows: not the URL's to say, as this process renders nothing else meanwhile."""
View = Callable[[Services, PageRequest], Awaitable[Any]]


@dataclass(frozen=True, slots=True, eq=False)
class PageRow:
    """One page, or one act.

    A `GET` row shows: its view returns what its `template` is given. A `POST` row acts: its view returns `Done`,
    `Shown` or a `Download`; where it raises a `GatewayError`, the page `of` (the path of a `GET` row with the same
    names) is shown again with the message, and with the form as it was filled in. `confirms` is the `{name}` of the
    path, or the field of the form, that has to be typed once more in the field `confirm`. `label` puts a page into the
    navigation. `parts` are the views of blocks that a browser fetches again by themselves, where the page's own would
    do more than they show.
    """

    method: str
    path: str
    role: Role
    view: View
    template: str = ""
    label: str = ""
    of: str = ""
    confirms: str = ""
    parts: Mapping[str, View] = field(default_factory=dict)


def page(path: str, role: Role, view: View, template: str, label: str = "", **parts: View) -> PageRow:
    """A page that is looked at."""
    return PageRow("GET", path, role, view, template, label, parts=parts)


def act(path: str, role: Role, view: View, *, of: str, confirms: str = "") -> PageRow:
    """An act of the page `of`."""
    return PageRow("POST", path, role, view, of=of, confirms=confirms)
