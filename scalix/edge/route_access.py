"""Who may use which route: what the documentation says and what tests hold the gateway to."""

from collections.abc import Iterator
from enum import StrEnum

from scalix.domain.requests.routes import Route
from scalix.edge.routes import ENTRIES, ONE_KEY, ONE_USER, USERS_DATA, Own


class Access(StrEnum):
    """The four kinds of route."""

    ANYBODY = "anybody"
    ANYBODY_OPERATORS_MORE = "anybody; operators get more"
    CALLERS = "callers"
    OPERATORS = "operators"


_BESIDE_OPERATORS: dict[Route | Own, Access] = {
    **dict.fromkeys(Route, Access.CALLERS),
    Own.MODELS: Access.CALLERS,
    Own.MODEL: Access.CALLERS,
    Own.COUNT_MESSAGE: Access.CALLERS,
    Own.COUNT_RESPONSE: Access.CALLERS,
    Own.RESPONSE: Access.CALLERS,
    Own.RESPONSE_DELETE: Access.CALLERS,
    Own.MODEL_INFO: Access.CALLERS,
    Own.MODEL_GROUP_INFO: Access.CALLERS,
    Own.USAGE: Access.CALLERS,
    Own.USAGE_EVENTS: Access.CALLERS,
    Own.HEALTH: Access.ANYBODY_OPERATORS_MORE,
    Own.LIVELINESS: Access.ANYBODY,
    Own.READINESS: Access.ANYBODY,
}


def access_of(target: Route | Own) -> Access:
    """Who may use a target. A route that is not listed is for operators."""
    return _BESIDE_OPERATORS.get(target, Access.OPERATORS)


def all_routes() -> Iterator[tuple[str, str, Route | Own]]:
    """Every path, method and target; `{id}` stands for a model's name or a response's id, `{key}` for a virtual key or
    its SHA-256, `{user}` for a user's id, percent-encoded."""
    yield ONE_KEY, "POST", Own.ONE_KEY_REGENERATE
    yield USERS_DATA, "GET", Own.USER_EXPORT
    yield ONE_USER, "DELETE", Own.USER_ERASE
    for path, methods in ENTRIES.items():
        yield from ((path, method, target) for method, target in methods.items())
        if path.endswith("/models"):
            yield f"{path}/{{id}}", "GET", Own.MODEL
        elif path.endswith("/responses"):
            yield f"{path}/{{id}}", "GET", Own.RESPONSE
            yield f"{path}/{{id}}", "DELETE", Own.RESPONSE_DELETE
