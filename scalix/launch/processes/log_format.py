"""How a worker's log lines look, LiteLLM's and uvicorn's too. The launcher adds which worker it is."""

import logging
import os
from typing import Any

from scalix.domain.log_lines import json_line, named, one_line, text_line

_OURS = ("scalix", "uvicorn", "asyncio")
_LITELLMS = "LiteLLM"


class LineFormatter(logging.Formatter):
    """One record, one line. What a record has as `fields` (`extra={"fields": {…}}`) is shown behind its message, and
    what it has as `for_programs` in a JSON object alone."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        message, fields = record.getMessage(), dict[str, Any](getattr(record, "fields", {}))
        trace = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        if self._as_json:
            fields |= {**getattr(record, "for_programs", {}), **({"trace": one_line(trace)} if trace else {})}
            fields |= {"request_id": fields.pop("id")} if "id" in fields else {}
            return json_line(record.created, record.levelname, record.name, one_line(message), fields).rstrip("\n")
        said = one_line(f"{message}\n{trace}" if trace else message)
        return text_line(record.created, f"{record.levelname} {record.name}: {said}{named(fields)}").rstrip("\n")


def configure_logging(level: str) -> None:
    """Log to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter(as_json=os.environ.get("SCALIX_LOG_FORMAT") == "json"))
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        # What uvicorn says at INFO, the launcher says better.
        logger.setLevel(level if name == "scalix" or level != "INFO" else "WARNING")


def adopt_litellms_loggers() -> None:
    """Have LiteLLM's lines look like ours: its own handlers would put a second time before each."""
    ours = logging.getLogger("scalix")
    for name in [name for name in logging.root.manager.loggerDict if name.startswith(_LITELLMS)]:
        logger = logging.getLogger(name)
        logger.handlers = list(ours.handlers)
        logger.propagate = False
