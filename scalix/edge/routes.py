"""The front door's list: what is not on it is 404."""

from collections.abc import Mapping
from enum import Enum, auto
from urllib.parse import unquote_to_bytes

from scalix.domain.requests.routes import Route
from scalix.service.usage.reporting import REPORTS


class Own(Enum):
    """Routes that the edge answers itself."""

    MODELS = auto()
    MODEL = auto()
    COUNT_MESSAGE = auto()
    COUNT_RESPONSE = auto()
    RESPONSE = auto()
    RESPONSE_DELETE = auto()
    MODEL_INFO = auto()
    MODEL_GROUP_INFO = auto()
    KEY_GENERATE = auto()
    KEY_INFO = auto()
    KEY_LIST = auto()
    KEY_UPDATE = auto()
    KEY_DELETE = auto()
    KEY_BLOCK = auto()
    KEY_UNBLOCK = auto()
    KEY_REGENERATE = auto()
    ONE_KEY_REGENERATE = auto()
    USER_NEW = auto()
    USER_UPDATE = auto()
    USER_INFO = auto()
    USER_DELETE = auto()
    USER_LIST = auto()
    USER_LIMITS = auto()
    USER_LIMITS_PUT = auto()
    USER_RESET = auto()
    USER_BALANCE = auto()
    USER_CREDIT = auto()
    SHADOW = auto()
    TOKENS_REVOKE = auto()
    SECRETS_REENCRYPT = auto()
    MERGE = auto()
    AUDIT = auto()
    AUDIT_CHAIN = auto()
    LEDGER = auto()
    LEDGER_VERIFY = auto()
    LEDGER_REPAIR = auto()
    LEDGER_ARCHIVE = auto()
    LEDGER_EXPORT = auto()
    USER_EXPORT = auto()
    USER_ERASE = auto()
    RETENTION_RUN = auto()
    USAGE = auto()
    USAGE_EVENTS = auto()
    REPORT = auto()
    METRICS = auto()
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
_REPORTS = "/scalix/v1/reports/"
ENTRIES: dict[str, Methods] = {
    **{prefix + path: {"POST": route} for path, route in _METERED.items() for prefix in ("/v1", "")},
    **{prefix + "/models": {"GET": Own.MODELS} for prefix in ("/v1", "")},
    **{prefix + "/messages/count_tokens": {"POST": Own.COUNT_MESSAGE} for prefix in ("/v1", "")},
    **{prefix + "/responses/input_tokens": {"POST": Own.COUNT_RESPONSE} for prefix in ("/v1", "")},
    **{prefix + "/model/info": {"GET": Own.MODEL_INFO} for prefix in ("/v1", "")},
    "/model_group/info": {"GET": Own.MODEL_GROUP_INFO},
    "/key/generate": {"POST": Own.KEY_GENERATE},
    "/key/info": {"GET": Own.KEY_INFO},
    "/key/list": {"GET": Own.KEY_LIST},
    "/key/update": {"POST": Own.KEY_UPDATE},
    "/key/delete": {"POST": Own.KEY_DELETE},
    "/key/block": {"POST": Own.KEY_BLOCK},
    "/key/unblock": {"POST": Own.KEY_UNBLOCK},
    "/key/regenerate": {"POST": Own.KEY_REGENERATE},
    "/user/new": {"POST": Own.USER_NEW},
    "/user/update": {"POST": Own.USER_UPDATE},
    "/user/info": {"GET": Own.USER_INFO},
    "/v2/user/info": {"GET": Own.USER_INFO},  # LiteLLM's client has it too
    "/user/list": {"GET": Own.USER_LIST},
    "/user/delete": {"POST": Own.USER_DELETE},
    "/user/limits": {"GET": Own.USER_LIMITS, "PUT": Own.USER_LIMITS_PUT},
    "/user/reset": {"POST": Own.USER_RESET},
    "/user/balance": {"GET": Own.USER_BALANCE},
    "/user/credit": {"POST": Own.USER_CREDIT},
    "/scalix/v1/shadow": {"GET": Own.SHADOW},
    "/scalix/v1/tokens/revoke": {"POST": Own.TOKENS_REVOKE},
    "/scalix/v1/secrets/reencrypt": {"POST": Own.SECRETS_REENCRYPT},
    "/scalix/v1/merge": {"POST": Own.MERGE},
    "/scalix/v1/audit": {"GET": Own.AUDIT},
    "/scalix/v1/audit/chain": {"GET": Own.AUDIT_CHAIN},
    "/scalix/v1/ledger": {"GET": Own.LEDGER},
    "/scalix/v1/ledger/verify": {"GET": Own.LEDGER_VERIFY},
    "/scalix/v1/ledger/repair": {"POST": Own.LEDGER_REPAIR},
    "/scalix/v1/ledger/archive": {"POST": Own.LEDGER_ARCHIVE},
    "/scalix/v1/ledger/export": {"GET": Own.LEDGER_EXPORT},
    "/scalix/v1/retention/run": {"POST": Own.RETENTION_RUN},
    "/scalix/v1/usage": {"GET": Own.USAGE},
    "/scalix/v1/usage/events": {"GET": Own.USAGE_EVENTS},
    **{_REPORTS + name: {"GET": Own.REPORT} for name in REPORTS},
    "/metrics": {"GET": Own.METRICS},
    "/health": {"GET": Own.HEALTH},
    "/health/liveliness": {"GET": Own.LIVELINESS},
    "/health/readiness": {"GET": Own.READINESS},
}
_MODEL: Methods = {"GET": Own.MODEL}
_MODEL_PREFIXES = ("/v1/models/", "/models/")
_RAW_MODEL_PREFIXES = (b"/v1/models/", b"/models/")
_RESPONSE: Methods = {"GET": Own.RESPONSE, "DELETE": Own.RESPONSE_DELETE}
_RESPONSE_PREFIXES = ("/v1/responses/", "/responses/")
ONE_KEY = "/key/{key}/regenerate"
_ONE_KEY: Methods = {"POST": Own.ONE_KEY_REGENERATE}
_BEFORE_KEY, _AFTER_KEY = ONE_KEY.split("{key}")
ONE_USER, USERS_DATA = "/scalix/v1/users/{user}", "/scalix/v1/users/{user}/export"
_ONE_USER: Methods = {"DELETE": Own.USER_ERASE}
_USERS_DATA: Methods = {"GET": Own.USER_EXPORT}
_BEFORE_USER, _AFTER_USER = USERS_DATA.split("{user}")


def find(path: str, raw_path: bytes) -> Methods | None:
    """The methods of a path, exactly as written; `None` for every other path.

    `raw_path` is the path before percent-decoding. An encoded letter is a second spelling, and so is not found; only a
    model's name, an answer's id and a user's id may need it.
    """
    if path.startswith(_MODEL_PREFIXES):
        named = raw_path.startswith(_RAW_MODEL_PREFIXES) and model_in(path)
        return _MODEL if named else None
    if path.startswith(_BEFORE_USER):
        return _of_user(raw_path)
    if path.startswith(_RESPONSE_PREFIXES) and path not in ENTRIES:
        return _RESPONSE if response_in(raw_path) else None
    if b"%" in raw_path:
        return None
    return ENTRIES.get(path) or (_ONE_KEY if key_in(path) else None)


def shown_path(path: str) -> str:
    """A path as it may stand in a log: what is not on the list may be anything, a key pasted into a URL too."""
    if path.startswith(_MODEL_PREFIXES):
        return "/v1/models/*"
    if path.startswith(_RESPONSE_PREFIXES) and path not in ENTRIES:
        return "/v1/responses/*"
    if path.startswith(_BEFORE_USER):
        return USERS_DATA if path.endswith(_AFTER_USER) else ONE_USER
    return path if path in ENTRIES else ONE_KEY if key_in(path) else "-"


def key_in(path: str) -> str:
    """The virtual key that a `/key/{key}/regenerate` path names; empty for every other path."""
    if not (path.startswith(_BEFORE_KEY) and path.endswith(_AFTER_KEY)):
        return ""
    key = path[len(_BEFORE_KEY) : -len(_AFTER_KEY)]
    return "" if "/" in key else key


def report_in(path: str) -> str:
    """The report that a `/scalix/v1/reports/{name}` path names."""
    return path.removeprefix(_REPORTS)


def response_in(raw_path: bytes) -> str:
    """The id of the answer that a path names, as it was before percent-encoding; empty for a path that names none."""
    text = raw_path.decode("latin-1")
    prefix = next((prefix for prefix in _RESPONSE_PREFIXES if text.startswith(prefix)), None)
    ident = text.removeprefix(prefix) if prefix else ""
    return "" if "/" in ident else unquote_to_bytes(ident).decode("utf-8", "replace")


def user_in(raw_path: bytes) -> str:
    """The user that a path names, as it was before percent-encoding; empty for a path that names none. Raises
    `UnicodeDecodeError` for bytes that are not UTF-8."""
    text = raw_path.decode("latin-1")
    if not text.startswith(_BEFORE_USER):
        return ""
    user = text[len(_BEFORE_USER) :].removesuffix(_AFTER_USER)
    return "" if "/" in user else unquote_to_bytes(user).decode("utf-8")


def _of_user(raw_path: bytes) -> Methods | None:
    # By what was sent, as a user's id may hold a slash: only there it is told from one of the path.
    text = raw_path.decode("latin-1")
    if not text.startswith(_BEFORE_USER):
        return None
    user = text[len(_BEFORE_USER) :]
    named = user.removesuffix(_AFTER_USER)
    if not named or "/" in named:
        return None
    return _ONE_USER if named == user else _USERS_DATA


def model_in(path: str) -> str:
    """The model that a `/v1/models/{id}` path names."""
    return path.split("/models/", 1)[1]
