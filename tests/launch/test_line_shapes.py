"""Lines of all programs in one shape, for people and for programs."""

import json
import logging
import re
from pathlib import Path

import pytest

from scalix.domain.redaction.known_secrets import KnownSecrets
from scalix.launch.embedded.store_child import _from_server
from scalix.launch.processes.line_shapes import for_people, for_programs
from scalix.launch.processes.log_format import LineFormatter, adopt_litellms_loggers, configure_logging
from scalix.launch.processes.logfile import RotatingLog
from scalix.launch.processes.output import Output

STAMP = "2026-11-30T18:41:03.460Z"
SECRET = "sk-abcdef-123456"
REDACT = KnownSecrets({"OPENAI_API_KEY": SECRET})


def test_a_workers_line_keeps_its_own_time_and_has_no_second_one() -> None:
    kept, shown = for_people("worker 1", f"{STAMP} INFO x: y".encode())
    assert (kept, shown) == (f"{STAMP} worker 1  INFO x: y\n".encode(), b"worker 1  INFO x: y\n")


def test_another_programs_line_gets_the_time_of_now_in_utc_with_milliseconds() -> None:
    kept, _ = for_people("demo", b"hello")
    assert re.fullmatch(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z demo      hello\n", kept)


@pytest.mark.parametrize(
    "line",
    [
        b"plain text, however it came",
        json.dumps({"x": 1}).encode(),
        f'{{"time":"{STAMP}","level":"INFO","message":"cut at the mid'.encode(),
        f'{{"time":"{STAMP}","message":"api_key=\\"{SECRET}\\" and {SECRET}"}}'.encode(),
        f'{{"time":"{STAMP}","api_key":"{SECRET}","list":["Bearer {SECRET}"]}}'.encode(),
    ],
)
def test_for_programs_every_line_is_an_object_without_secrets(line: bytes) -> None:
    shown = json.loads(for_programs("worker 1", line, REDACT))
    assert shown["process"] == "worker 1"
    assert shown["time"].endswith("Z")
    assert SECRET not in str(shown)


def test_the_launchers_own_lines_are_objects_too(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    output, log = Output(quiet=False, verbose=False), RotatingLog(tmp_path / "a.log")
    output.open_log(log, as_json=True)
    output.say("store", "embedded")
    output.block(["", "Scalix gateway is ready at x", "", "  key   …"])
    output.fail("the end")
    output.close()
    lines = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [(line["process"], line["logger"], line["level"], line["message"]) for line in lines] == [
        ("launcher", "store", "INFO", "embedded"),
        ("launcher", "launcher", "INFO", "Scalix gateway is ready at x"),
        ("launcher", "launcher", "ERROR", "the end"),
    ]
    assert [json.loads(line)["message"] for line in capfd.readouterr().out.splitlines()] == [
        "embedded",
        "Scalix gateway is ready at x",
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_one_event_is_one_line_with_its_trace(as_json: bool) -> None:
    try:
        raise ValueError("first\nsecond")
    except ValueError:
        record = logging.LogRecord("scalix.x", logging.ERROR, "f", 1, "failed\nbadly", (), None)
        import sys

        record.exc_info = sys.exc_info()
    record.fields = {"id": "r1"}
    line = LineFormatter(as_json=as_json).format(record)
    assert "\n" not in line
    assert "ValueError: first" in line
    if as_json:
        shown = json.loads(line)
        assert (shown["level"], shown["logger"], shown["message"]) == ("ERROR", "scalix.x", "failed | badly")
        assert (shown["request_id"], "Traceback" in shown["trace"]) == ("r1", True)
    else:
        assert re.match(r"\S{23}Z ERROR scalix.x: failed \| badly \| Traceback .* id=r1$", line)


def test_litellms_loggers_write_as_ours_do() -> None:
    names = ("scalix", "uvicorn", "asyncio", "LiteLLM", "LiteLLM Router")
    loggers = [logging.getLogger(name) for name in names]
    before = [(logger, list(logger.handlers), logger.propagate, logger.level) for logger in loggers]
    try:
        logging.getLogger("LiteLLM").addHandler(logging.StreamHandler())
        configure_logging("INFO")
        adopt_litellms_loggers()
        formatters = [handler.formatter for logger in loggers for handler in logger.handlers]
        assert len(formatters) == len(names)
        assert all(isinstance(formatter, LineFormatter) for formatter in formatters)
    finally:
        for logger, handlers, propagate, level in before:
            logger.handlers, logger.propagate = handlers, propagate
            logger.setLevel(level)


def test_of_the_stores_log_the_warnings_are_kept_without_its_own_time(tmp_path: Path) -> None:
    output, log = Output(quiet=True, verbose=False), RotatingLog(tmp_path / "a.log")
    output.open_log(log)
    for line in (
        b"29599:M 30 Nov 2026 18:40:52.824 # WARNING Memory overcommit must be enabled!",
        b"29599:M 30 Nov 2026 18:40:52.825 * Valkey is starting",
        b"29599:signal-handler (1796064072) Received SIGTERM scheduling shutdown...",
        b"29599:M 30 Nov 2026 18:41:12.824 # Valkey is now ready to exit, bye bye...",
        b"what has another shape",
    ):
        _from_server(output, line)
    output.close()
    kept = [line.partition("Z ")[2] for line in log.path.read_text().splitlines()]
    assert kept == ["store     WARNING Memory overcommit must be enabled!", "store     what has another shape"]
