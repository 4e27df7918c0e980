"""Whether LiteLLM has failed on what it was given to translate, or on something of ours: a key, the config, itself.

It maps what its own code fails of to the errors that stand for a provider's, most often `APIConnectionError`. What it
was at first is in the chain of exceptions behind it.
"""

import traceback
from collections import deque
from collections.abc import Iterator

import re2

_MOST_LINKS = 12
_JUDGED = frozenset({400, 413, 422})
# LiteLLM's hooks refuse requests with these.
_REFUSED_BY_HOOKS = _JUDGED | {403, 404}
# What Python's own code, Pydantic and LiteLLM's converters raise of a value that is not as they expect.
_OF_DATA = (TypeError, AttributeError, LookupError, ValueError, ArithmeticError, AssertionError, RecursionError)
_OURS = (ImportError, NameError, OSError, MemoryError, NotImplementedError)
_OUR_NAMES = re2.compile(r"Authentication|PermissionDenied|Credential|NotFoundError|RateLimit|ImportError|NoRegion")
_OF_THE_REQUEST = frozenset({"ImageFetchError"})  # of what a client has named by a URL, whatever was in the way
# Functions and files that prepare a call from its deployment's settings alone.
_SETTING_UP = re2.compile(
    r"credential|access_token|api_key|api_base|complete_url|llm_provider$|/lib/azure\.py|openai/_client\.py|base_aws_llm"
    r"|vertex_llm_base|get_available_deployment|ssl_"
)


def is_by_content(error: BaseException) -> bool:
    """Whether `error` came of what was to be translated: a client's request, or a provider's answer to it."""
    links = list(_links(error))
    if any(type(link).__name__ in _OF_THE_REQUEST for link in links):
        return True
    if any(_is_ours(link) for link in links):
        return False
    status = getattr(error, "status_code", None) or _code_of(error)
    if status in (_REFUSED_BY_HOOKS if type(error).__name__ == "HTTPException" else _JUDGED):
        return True
    root = links[-1]
    return isinstance(root, _OF_DATA) or type(root) is Exception


def _code_of(error: BaseException) -> int | None:
    """The status that LiteLLM's proxy answers with, which it keeps as a text."""
    code = str(getattr(error, "code", ""))
    return int(code) if len(code) == 3 and code.isdecimal() else None


def place_of(error: BaseException) -> str:
    """Where the first of the exceptions behind `error` was raised: `file:line function`, and never a text."""
    return _place(list(_links(error))[-1])


def shown_root(error: BaseException) -> str:
    """The same with the kind of that exception before it."""
    return f"{type(list(_links(error))[-1]).__name__} at {place_of(error)}"


def _links(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    for _ in range(_MOST_LINKS):
        if link is None or isinstance(link, StopIteration):  # by which Python's JSON parser tells itself of an end
            return
        yield link
        link = link.__cause__ or link.__context__


def _is_ours(error: BaseException) -> bool:
    if isinstance(error, _OURS) or _OUR_NAMES.search(type(error).__name__):
        return True
    return bool(_SETTING_UP.search(_place(error)))


def _place(error: BaseException) -> str:
    last = deque(traceback.walk_tb(error.__traceback__), maxlen=1)
    if not last:
        return ""
    frame, line = last[0]
    return f"{frame.f_code.co_filename.rpartition('site-packages/')[2]}:{line} {frame.f_code.co_name}"
