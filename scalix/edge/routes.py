"""The front door's list: what is not on it is 404."""

from collections.abc import Mapping
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
    USER_LIMITS = auto()
    USER_LIMITS_PUT = auto()
    USER_RESET = auto()
    SHADOW = auto()
    TOKENS_REVOKE = auto()
    MERGE = auto()
    HEALTH = auto()
    LIVELINESS = auto()
    READINESS = auto()


Methods = Mapping[str, Route | Own]
"""One path: what answers each method that it takes."""

_METERED = {
    "/chat/completions": Route.CHAT,
    "/completions": Route.COMPLETIONS,
    "/embeddings": Route.EMBEDDINGS,
    "/responses": Route.RESPONSES,
    "/messages": Route.MESSAGES,
}
ENTRIES: dict[str, Methods] = {
    **{prefix + path: {"POST": route} for path, route in _METERED.items() for prefix in ("/v1", "")},
    **{prefix + "/models": {"GET": Own.MODELS} for prefix in ("/v1", "")},
    "/user/new": {"POST": Own.USER_NEW},
    "/user/update": {"POST": Own.USER_UPDATE},
    "/user/info": {"GET": Own.USER_INFO},
    "/user/delete": {"POST": Own.USER_DELETE},
    "/user/limits": {"GET": Own.USER_LIMITS, "PUT": Own.USER_LIMITS_PUT},
    "/user/reset": {"POST": Own.USER_RESET},
    "/scalix/v1/shadow": {"GET": Own.SHADOW},
    "/scalix/v1/tokens/revoke": {"POST": Own.TOKENS_REVOKE},
    "/scalix/v1/merge": {"POST": Own.MERGE},
    "/health": {"GET": Own.HEALTH},
    "/health/liveliness": {"GET": Own.LIVELINESS},
    "/health/readiness": {"GET": Own.READINESS},
}
_MODEL: Methods = {"GET": Own.MODEL}
_MODEL_PREFIXES = ("/v1/models/", "/models/")
_RAW_MODEL_PREFIXES = (b"/v1/models/", b"/models/")


def find(path: str, raw_path: bytes) -> Methods | None:
    """The methods of a path, exactly as written; `None` for every other path.

    `raw_path` is the path before percent-decoding. An encoded letter is a second spelling, and so is not found; only a
    model's name may need it.
    """
    if path.startswith(_MODEL_PREFIXES):
        named = raw_path.startswith(_RAW_MODEL_PREFIXES) and model_in(path)
        return _MODEL if named else None
    return None if b"%" in raw_path else ENTRIES.get(path)


def model_in(path: str) -> str:
    """The model that a `/v1/models/{id}` path names."""
    return path.split("/models/", 1)[1]
