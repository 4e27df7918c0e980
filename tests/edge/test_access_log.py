"""The one line that each request leaves in the log."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from scalix.edge.access_log import ASKED, MOST_REFUSALS_PER_S, AccessLog, Asked
from scalix.service.identity.callers import THE_OPERATOR
from tests.edge.limits_rig import Instance

CANARY = "sk-canary-0123456789abcdef"


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, **more}


def written(*notes: tuple[dict[str, Any], int]) -> list[str]:
    chunks: list[bytes] = []
    access = AccessLog(chunks.append, "a secret", clock=lambda: 0.0)
    for noted, status in notes:
        access.note(noted, "r1", status, 0.0123)
    access.close()
    assert all(len(chunk) <= 4096 and chunk.endswith(b"\n") for chunk in chunks)
    return b"".join(chunks).decode().splitlines()


def test_a_line_says_what_was_asked_and_how_it_ended() -> None:
    assert written((scope("/health/readiness"), 200)) == ["access POST /health/readiness 200 12.3ms id=r1"]
    assert written((scope("/v1/chat/completions"), 0)) == ["access POST /v1/chat/completions - 12.3ms id=r1"]


def test_nothing_that_a_client_makes_up_is_in_it() -> None:
    lines = written(
        (scope(f"/v1/{CANARY}"), 404), (scope(f"/v1/models/{CANARY}"), 404), (scope("/models", method=CANARY), 405)
    )
    assert CANARY not in "".join(lines)
    assert [line.split()[2] for line in lines] == ["-", "/v1/models/*", "/models"]


def test_a_user_has_a_pseudonym_that_stays_the_same() -> None:
    asked = scope("/v1/chat/completions", **{ASKED: Asked(THE_OPERATOR)})
    first, second = written((asked, 429), (asked, 429))
    assert first == second
    assert re.search(r" user=[0-9a-f]{12} tier=- id=r1$", first)


def test_a_flood_is_counted_and_not_written() -> None:
    lines = written(*[(scope("/models"), 401)] * (MOST_REFUSALS_PER_S + 7))
    assert len(lines) == MOST_REFUSALS_PER_S + 1
    assert lines[-1] == "access and 7 refusals more"


async def test_every_request_leaves_a_line_with_its_model_and_tokens(
    store_url: str, key_prefix: str, tmp_path: Path
) -> None:
    instance = Instance(store_url, tmp_path, key_prefix, "a")
    chunks: list[bytes] = []
    gate: Any = instance.http._transport.app  # type: ignore[attr-defined]
    access = AccessLog(chunks.append, "a secret")
    gate._observers = replace(gate._observers, access=access)
    assert [(await instance.ask("alice")).status_code for _ in range(3)] == [200, 200, 429]
    access.close()
    await instance.close()
    served, _, refused = b"".join(chunks).decode().splitlines()
    assert re.fullmatch(
        r"access POST /v1/chat/completions 200 [\d.]+ms user=\w{12} "
        r"tier=free model=free-model tokens=\d+\+\d+ id=\w{32}",
        served,
    )
    assert re.fullmatch(r"access POST /v1/chat/completions 429 [\d.]+ms user=\w{12} tier=free id=\w{32}", refused)
    assert "alice" not in served


def test_a_user_has_another_pseudonym_in_each_run() -> None:
    asked = scope("/v1/chat/completions", **{ASKED: Asked(THE_OPERATOR)})
    lines = []
    for secret in ("of one run", "of the next"):
        chunks: list[bytes] = []
        access = AccessLog(chunks.append, secret, clock=lambda: 0.0)
        access.note(asked, "r1", 200, 0.0123)
        access.close()
        lines.append(b"".join(chunks))
    assert lines[0] != lines[1]
