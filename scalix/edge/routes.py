"""The front door's list: what is not on it is 404."""

from dataclasses import dataclass
from enum import Enum, auto

from scalix.domain.routes import Route


class Own(Enum):
    """Routes that the edge answers itself."""

    MODELS = auto()
    MODEL = auto()
    USER_NEW = auto()
    USER_UPDATE = auto()
    USER_INFO = auto()
    USER_DELETE = auto()
    HEALTH = auto()
    LIVELINESS = auto()
    READINESS = auto()


@dataclass(frozen=True, slots=True)
class Entry:
    """One path: the method it takes and what answers it."""

    method: str
    target: Route | Own


_METERED = {
    "/chat/completions": Route.CHAT,
    "/completions": Route.COMPLETIONS,
    "/embeddings": Route.EMBEDDINGS,
    "/responses": Route.RESPONSES,
    "/messages": Route.MESSAGES,
}
ENTRIES: dict[str, Entry] = {
    **{prefix + path: Entry("POST", route) for path, route in _METERED.items() for prefix in ("/v1", "")},
    **{prefix + "/models": Entry("GET", Own.MODELS) for prefix in ("/v1", "")},
    "/user/new": Entry("POST", Own.USER_NEW),
    "/user/update": Entry("POST", Own.USER_UPDATE),
    "/user/info": Entry("GET", Own.USER_INFO),
    "/user/delete": Entry("POST", Own.USER_DELETE),
    "/health": Entry("GET", Own.HEALTH),
    "/health/liveliness": Entry("GET", Own.LIVELINESS),
    "/health/readiness": Entry("GET", Own.READINESS),
}
_MODEL = Entry("GET", Own.MODEL)
_MODEL_PREFIXES = ("/v1/models/", "/models/")


def find(path: str) -> Entry | None:
    """The entry of a path, exactly as written; `None` for every other path."""
    entry = ENTRIES.get(path)
    if entry is None and path.startswith(_MODEL_PREFIXES) and model_in(path):
        return _MODEL
    return entry


def model_in(path: str) -> str:
    """The model that a `/v1/models/{id}` path names."""
    return path.split("/models/", 1)[1]
