"""An unexpected error is told by kind and place, never by its text."""

import logging
from pathlib import Path

import pytest

from scalix.domain.faults import shown_fault
from tests.edge.gates import in_process

CANARY = "canary-of-a-prompt"


def test_a_fault_is_its_kind_and_where_it_was() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError as error:
        shown = shown_fault(error)
    assert shown.startswith("ValueError at ")
    assert "test_faults.py:" in shown
    assert CANARY not in shown


async def test_a_request_that_fails_inside_leaves_no_text_in_the_log(
    tmp_path: Path, store_url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with in_process(tmp_path, store_url) as edge:

        async def fail(*given: object, **more: object) -> None:
            raise RuntimeError(CANARY)

        monkeypatch.setattr(edge.core.exchange.admission, "admit", fail)
        with caplog.at_level(logging.ERROR, "scalix.edge"):
            answered = await edge.call(body={"model": "free-small", "messages": [{"role": "user", "content": "hi"}]})
    assert answered.status == 500
    assert CANARY.encode() not in answered.body
    (line,) = [record for record in caplog.records if "failed inside the gateway" in record.getMessage()]
    assert "RuntimeError at " in line.getMessage()
    assert CANARY not in caplog.text
