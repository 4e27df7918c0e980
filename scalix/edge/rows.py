"""What one route of the gateway's own is: method, path, who may use it, and what answers it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import wraps
from operator import attrgetter
from typing import Any, Generic, TypeVar

from scalix.domain.errors import NotPermitted
from scalix.domain.requests.routes import Route
from scalix.edge.asgi import Receive, Scope, address_of, credential_of
from scalix.edge.queries import query_of
from scalix.service.audit.audit import Actor
from scalix.service.bodies import RequestBody
from scalix.service.identity.callers import Caller
from scalix.service.identity.identity import Identity
from scalix.service.self_service.turns import Person

Service = TypeVar("Service")
Given = TypeVar("Given")


class Access(StrEnum):
    """Who may use a route, as the documentation says it."""

    ANYBODY = "anybody"
    ANYBODY_OPERATORS_MORE = "anybody; operators get more"
    CALLERS = "callers"
    USERS = "users"
    OPERATORS = "operators"


@dataclass(slots=True)
class Request:
    """What a handler is given. `operator` is the operator who asks, on routes that are the operator's alone, `person`
    the user, on those that are users' alone; `body` is of the row's model."""

    scope: Scope
    receive: Receive
    request_id: str = ""
    operator: Caller | None = None
    person: Person | None = None
    body: Any = None

    @property
    def query(self) -> dict[str, str]:
        """The URL's parameters. Raises `BadRequest`."""
        return query_of(self.scope)

    @property
    def by(self) -> Actor:
        """The operator, as the audit records who acts. A fault on a route that others may use too."""
        if self.operator is None:
            raise RuntimeError("this route is not the operator's alone")
        return Actor(str(self.operator.subject), self.request_id, address_of(self.scope))


@dataclass(frozen=True, slots=True, eq=False)
class Row(Generic[Service]):
    """One route, answered by `answer` with a service of the feature: a `Page`, or plain data that is sent as JSON.

    Where `access` is for operators or for users, the dispatcher lets nobody else in, unless the row `checks_access`
    itself; every other handler finds out itself who asks. In a path `{name}` stands for a text; `holds_slashes` lets it
    contain `/`.

    - `also`: other paths of the same route
    - `query`: parameters of the URL, for the documentation
    - `body`: the model of the JSON body, which the dispatcher reads; one that `may_be_empty` need not be sent
    - `body_of`: the metered route whose body this one takes too, which the handler reads
    - `gives`: what is answered as JSON, for the documentation, where the handler's return type does not say it
    - `names_user`: the body's `user_id` must not be a name that only the gateway gives
    """

    method: str
    path: str
    answer: Callable[[Service, Request], Awaitable[Any]]
    access: Access = Access.OPERATORS
    also: tuple[str, ...] = ()
    query: tuple[str, ...] = ()
    body: type[RequestBody] | None = None
    may_be_empty: bool = False
    body_of: Route | None = None
    gives: Any = None
    names_user: bool = False
    checks_access: bool = False
    holds_slashes: bool = False


Part = Callable[[Request], Any]
BODY: Part = attrgetter("body")
BY: Part = attrgetter("by")
PERSON: Part = attrgetter("person")
QUERY: Part = attrgetter("query")


def calls(
    method: Callable[..., Awaitable[Given]], *parts: Part, **fixed: Any
) -> Callable[[Any, Request], Awaitable[Given]]:
    """A handler that calls a service's method with parts of the request, and with what is `fixed`. What the method
    returns, by its annotation, is what the documentation says of the answer."""

    @wraps(method)
    def answer(service: Any, asked: Request) -> Awaitable[Given]:
        return method(service, *(part(asked) for part in parts), **fixed)

    return answer


Answers = Mapping[Row[Any], Callable[[Request], Awaitable[Any]]]
"""Rows with what answers them."""


async def caller_now(identity: Identity, scope: Scope) -> Caller:
    """Who asks, by what the store holds now: no admission follows that would compare versions, so what was revoked must
    show here. Raises `InvalidApiKey`, `StoreUnavailable` and what else is wrong with the credential."""
    caller = await identity.authenticate(credential_of(scope))
    return caller if caller.reread is None else await caller.reread()


async def operator_of(identity: Identity, scope: Scope) -> Caller:
    """The caller, if it is the operator. Raises `InvalidApiKey`, `NotPermitted`."""
    caller = await identity.authenticate(credential_of(scope))
    if not caller.may_name_users:
        raise NotPermitted("Only the operator's key may do this.", who=str(caller.subject))
    return caller
