"""LiteLLM's log lines made fit for a gateway: one short line each, no stack trace, no prompt, no key.

A provider's error message may hold what it was sent, so nothing after the name of an exception is kept.
"""

import logging
import traceback
from types import TracebackType

import re2

from scalix.domain.redaction.foreign_texts import without_secrets

_LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
# What a task that nobody awaits, or a client, makes them say is not LiteLLM's, but holds the same texts.
_WITH_EXCEPTIONS = ("asyncio", "uvicorn.error")
_MOST_CHARS = 300
_MOST_READ_CHARS = 4_096
_EXCEPTION = re2.compile(r"\b[\w.]*(?:Error|Exception|Timeout)\b")
# Where code stops and data starts in a line without an exception.
_DATA = re2.compile(r"(?i)[\"'`{\[<]|\b(?:message|content|prompt|input|body|data)s?\s*[=:]")
# What LiteLLM says of settings that this gateway does not use.
_BESIDE_THE_POINT = ("trusted_proxy_ranges is not set", "custom_auth_run_common_checks")


# What uvicorn warns of, and has a line of its own as a request.
_CLIENTS_MISTAKES = frozenset({"Invalid HTTP request received.", "Unsupported upgrade request."})


class _OneShortLine(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if any(part in text for part in _BESIDE_THE_POINT):
            return False
        record.msg, record.args = _without_data(text), ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


class _NoMessageOfAnException(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        if record.msg in _CLIENTS_MISTAKES:
            return False
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            text = record.getMessage().strip().partition("\n")[0]
            place = _place(error.__traceback__)
            record.msg, record.args = f"{without_secrets(text, 80)}: {type(error).__name__} {place}", ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


def _without_data(text: str) -> str:
    line = text[:_MOST_READ_CHARS].strip().partition("\n")[0].encode("utf-8", "replace").decode()
    found = _EXCEPTION.search(line)
    line = line[: found.end()] if found else line
    data = _DATA.search(line)
    line = line[: data.start()] if data else line
    return without_secrets(line, _MOST_CHARS) or "a line that held data only"


def _place(trace: TracebackType | None) -> str:
    frames = traceback.extract_tb(trace)
    return f"at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""


def quiet_litellm_logs() -> None:
    """Filter LiteLLM's loggers. Not called in debug mode, where its full traces are wanted."""
    for names, kind in ((_LOGGERS, _OneShortLine), (_WITH_EXCEPTIONS, _NoMessageOfAnException)):
        for name in names:
            logger = logging.getLogger(name)
            if not any(isinstance(known, kind) for known in logger.filters):
                logger.addFilter(kind())


def quiet_prints() -> None:
    """What LiteLLM's proxy prints at its start, such as the models once more from each worker, is for its log."""
    from litellm.proxy import proxy_server

    log = logging.getLogger("LiteLLM Proxy")
    vars(proxy_server)["print"] = lambda *words, **_: log.debug(" ".join(map(str, words)))
