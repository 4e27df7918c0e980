"""LiteLLM's log lines made fit for a gateway: one short line each, no stack trace, no prompt, no key.

A provider's error message may hold what it was sent, so nothing after the name of an exception is kept.
"""

import logging
import re
import traceback
from types import TracebackType

_LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
# What a task that nobody awaits, or a client, makes them say is not LiteLLM's, but holds the same texts.
_WITH_EXCEPTIONS = ("asyncio", "uvicorn.error")
_MOST_CHARS = 300
_SECRET = re.compile(r"\b(?:sk|pk|gsk|xai|AIza|key|org|proj)[-_A-Za-z0-9]{8,}|(?<=Bearer )\S+|://[^/@\s]+@", re.I)
_EXCEPTION = re.compile(r"\b[\w.]*(?:Error|Exception|Timeout)\b")
# Where code stops and data starts in a line without an exception.
_DATA = re.compile(r"[\"'`{\[<]|\b(?:message|content|prompt|input|body|data)s?\s*[=:]", re.I)
# What LiteLLM says of settings that this gateway does not use.
_BESIDE_THE_POINT = ("trusted_proxy_ranges is not set", "custom_auth_run_common_checks")


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
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if error is not None:
            text = record.getMessage().strip().partition("\n")[0]
            record.msg, record.args = f"{text[:80]}: {type(error).__name__} {_place(error.__traceback__)}", ()
            record.exc_info = record.exc_text = record.stack_info = None
        return True


def _without_data(text: str) -> str:
    line = text.strip().partition("\n")[0]
    found = _EXCEPTION.search(line)
    end = found.end() if found else len(line)
    data = _DATA.search(line, 0, end)
    if data is not None:
        end = data.start()
    return _SECRET.sub("[removed]", line[:end]).rstrip()[:_MOST_CHARS] or "a line that held data only"


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
