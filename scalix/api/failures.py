"""`error_handler`: says what a provider's error means and what to do about it."""

import logging
import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypedDict

from scalix.domain.failures import (
    HANDLING,
    ErrorClass,
    class_of_exception,
    class_of_named,
    class_of_status,
    kind_of_body,
    retry_after_of,
)

MOST_WAIT_S = 3_600

log = logging.getLogger("scalix.errors")


class HandledError(TypedDict):
    """What an error means. `fault` is whose it is: `client`, `provider` or `gateway`. `wait_s` are the seconds to wait
    before the next try, `None` where trying again is of no use. `message` may be shown to the user: it holds nothing
    of what the provider said. `falls_back`: another model may serve the request."""

    category: str
    fault: str
    retryable: bool
    wait_s: int | None
    falls_back: bool
    message: str


class ErrorHandler:
    """Classifies errors as the gateway does. Needs no store, and writes only a log line."""

    def handle_error(
        self, user_id: str, model: str, error: object, metadata: Mapping[str, Any] | None = None
    ) -> HandledError:
        """What `error` means: an exception of LiteLLM, an SDK, httpx or Python, an error's body as a mapping, or its
        text. Of the metadata `status_code` and `retry_after` count where the error itself has none. Never raises for
        an error that it does not know: that is `internal`."""
        stated = metadata or {}
        category = _class_of(error, stated.get("status_code"))
        handling = HANDLING[category]
        wait_s = None
        if handling.retryable:
            said = retry_after_of(error) if isinstance(error, BaseException) else None
            wait_s = _seconds(said if said is not None else stated.get("retry_after"))
            wait_s = handling.wait_s if wait_s is None else wait_s
        log.info("a call of %s failed: %s", str(model)[:100], category.value)
        return {
            "category": category.value,
            "fault": handling.fault,
            "retryable": handling.retryable,
            "wait_s": wait_s,
            "falls_back": handling.falls_back,
            "message": handling.message,
        }


def _class_of(error: object, status: object) -> ErrorClass:
    if isinstance(error, ErrorClass):
        return error
    if isinstance(error, BaseException):
        return class_of_exception(error)
    known = status if isinstance(status, int) and not isinstance(status, bool) else None
    kind = kind_of_body(error)
    if known is not None:
        return class_of_status(known, kind, str(error))
    # Without a status, the words are read as those of a 400, which say the most.
    return class_of_status(400, kind, str(error)) if kind else class_of_named((), None, str(error))


def _seconds(said: object) -> int | None:
    """Seconds to wait, from a `Retry-After` in seconds or with a date."""
    if said is None:
        return None
    try:
        wait_s = float(str(said))
    except ValueError:
        try:
            wait_s = parsedate_to_datetime(str(said)).timestamp() - time.time()
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0, min(MOST_WAIT_S, math.ceil(wait_s))) if math.isfinite(wait_s) else None
