"""What is left of LiteLLM's log lines."""

import io
import logging
from collections.abc import Iterator

import pytest

from scalix.litellm_adapter.quiet_logs import quiet_litellm_logs

CANARY = "canary text of a user"
NAMES = ("LiteLLM", "LiteLLM Proxy", "LiteLLM Router", "asyncio", "uvicorn.error")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the loggers write, with a handler as theirs and filters that are taken off again."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    before = {name: list(logging.getLogger(name).filters) for name in NAMES}
    for name in NAMES:
        logging.getLogger(name).addHandler(handler)
    quiet_litellm_logs()
    yield written
    for name in NAMES:
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).filters[:] = before[name]


@pytest.mark.parametrize(
    "line",
    [
        f"proxy_server.x(): Exception occured - litellm.BadRequestError: OpenAIException - {CANARY}",
        f"litellm.router: Timeout waiting for {CANARY}",
        f"Received messages=[{{'role': 'user', 'content': '{CANARY}'}}]",
        f"content: {CANARY}",
        f"first line\n{CANARY}",
        f"'{CANARY}'",
        f"Error: key sk-abcdefgh12345678 {{'x': '{CANARY}'}}",
    ],
)
def test_no_line_holds_what_a_user_or_a_provider_said(log: io.StringIO, line: str) -> None:
    logging.getLogger("LiteLLM Proxy").error(line)
    written = log.getvalue()
    assert CANARY not in written
    assert "sk-abcdefgh" not in written
    assert written.count("\n") == 1


def test_the_name_of_the_exception_and_the_calls_id_stay(log: io.StringIO) -> None:
    logging.getLogger("LiteLLM Proxy").error("x(): failed - litellm_call_id=12-ab - litellm.RateLimitError: secret")
    assert log.getvalue() == "x(): failed - litellm_call_id=12-ab - litellm.RateLimitError\n"


@pytest.mark.parametrize("name", NAMES)
def test_an_exception_leaves_no_stack_trace_and_no_message(log: io.StringIO, name: str) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger(name).exception("Task exception was never retrieved")
    written = log.getvalue()
    assert "Traceback" not in written
    assert CANARY not in written
    assert written.count("\n") == 1


def test_an_exception_of_a_task_is_named_with_its_place(log: io.StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("asyncio").exception("Task exception was never retrieved\nfuture: x")
    assert "ValueError at test_quiet_logs.py:" in log.getvalue()
