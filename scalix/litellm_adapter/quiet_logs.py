"""LiteLLM's log lines made fit for a gateway: one short line each, no stack trace, no prompt, no key."""

import logging
import re

_LOGGERS = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router")
_MOST_CHARS = 300
_SECRET = re.compile(r"\b(?:sk|pk|gsk|xai|AIza|key|org|proj)[-_A-Za-z0-9]{8,}|(?<=Bearer )\S+|://[^/@\s]+@", re.I)
# What LiteLLM says of settings that this gateway does not use.
_BESIDE_THE_POINT = ("trusted_proxy_ranges is not set", "custom_auth_run_common_checks")


class _OneShortLine(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if any(part in text for part in _BESIDE_THE_POINT):
            return False
        first_line = text.strip().partition("\n")[0]
        record.msg, record.args = _SECRET.sub("[removed]", first_line)[:_MOST_CHARS], ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def quiet_litellm_logs() -> None:
    """Filter LiteLLM's loggers. Not called in debug mode, where its full traces are wanted."""
    for name in _LOGGERS:
        logger = logging.getLogger(name)
        if not any(isinstance(known, _OneShortLine) for known in logger.filters):
            logger.addFilter(_OneShortLine())
