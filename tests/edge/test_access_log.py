"""The lines that requests and providers' failures leave in the log."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scalix.domain.errors import InvalidApiKey
from scalix.edge.access_log import ASKED, AccessLog, Asked
from scalix.edge.floods import MOST_OF_A_KIND, WINDOW_S, Floods
from scalix.service.identity.callers import THE_OPERATOR
from tests.edge.limits_rig import Instance

CANARY = "sk-canary-0123456789abcdef"
AT_S = 1_796_064_063.46
STAMP = "2026-11-30T18:41:03.460Z"


def scope(path: str, **more: Any) -> dict[str, Any]:
    return {"type": "http", "method": "POST", "path": path, **more}


def written(*notes: tuple[Any, ...], **options: Any) -> list[str]:
    chunks: list[bytes] = []
    access = AccessLog(chunks.append, "a secret", floods=Floods(lambda: 0.0), unix_s=lambda: AT_S, **options)
    for noted, status, *error in notes:
        access.note(noted, "r1", status, 0.0123, *error)
    access.close()
    assert all(len(chunk) <= 4096 and chunk.endswith(b"\n") for chunk in chunks)
    return b"".join(chunks).decode().splitlines()


def test_a_line_says_when_what_was_asked_and_how_it_ended() -> None:
    assert written((scope("/health"), 200)) == [f"{STAMP} access POST /health 200 12.3ms id=r1"]
    assert written((scope("/v1/models"), 0)) == [f"{STAMP} access POST /v1/models - 12.3ms id=r1"]


@pytest.mark.parametrize("path", ["/health/readiness", "/health/liveliness", "/metrics"])
def test_what_is_asked_every_second_has_a_line_when_its_answer_changes_and_for_each_refusal(path: str) -> None:
    asked = [200, 200, 503, 503, 500, 401, 401, 503, 200, 200]
    lines = written(*((scope(path), status) for status in asked))
    assert [line.split()[4] for line in lines] == ["503", "401", "401", "200"]


def test_a_refusal_says_its_code_and_the_reason_that_the_client_is_not_told() -> None:
    refused = InvalidApiKey("no")
    refused.reason = "expired"
    assert written((scope("/v1/models"), 401, refused)) == [
        f"{STAMP} access POST /v1/models 401 12.3ms id=r1 code=invalid_api_key reason=expired"
    ]


def test_for_programs_a_line_is_an_object_of_stable_names() -> None:
    (line,) = written((scope("/v1/models"), 401, InvalidApiKey("no")), as_json=True)
    assert json.loads(line) == {
        "time": STAMP,
        "level": "INFO",
        "logger": "scalix.access",
        "message": "POST /v1/models 401",
        "method": "POST",
        "route": "/v1/models",
        "status": 401,
        "duration_ms": 12.3,
        "request_id": "r1",
        "code": "invalid_api_key",
    }


def test_nothing_that_a_client_makes_up_is_in_it() -> None:
    lines = written(
        (scope(f"/v1/{CANARY}"), 404), (scope(f"/v1/models/{CANARY}"), 404), (scope("/models", method=CANARY), 405)
    )
    assert CANARY not in "".join(lines)
    assert [line.split()[3] for line in lines] == ["-", "/v1/models/*", "/models"]


def test_a_user_has_a_pseudonym_that_stays_the_same() -> None:
    asked = scope("/v1/chat/completions", **{ASKED: Asked(THE_OPERATOR)})
    first, second = written((asked, 429), (asked, 429))
    assert first == second
    assert re.search(r" id=r1 user=[0-9a-f]{12} tier=-$", first)


def test_of_a_flood_the_first_are_written_and_the_others_are_counted_by_kind() -> None:
    lines = written(*[(scope("/models"), 401, InvalidApiKey("no"))] * (MOST_OF_A_KIND + 1240), (scope("/x"), 404))
    assert len(lines) == MOST_OF_A_KIND + 2  # another kind has its line
    assert lines[-1] == f"{STAMP} access and 1,240 more like this in 10 s: 401 invalid_api_key"


def test_what_was_left_out_is_told_when_the_ten_seconds_are_over_and_counting_begins_anew() -> None:
    now = [0.0]
    floods = Floods(lambda: now[0])
    taken = [floods.takes("429") for _ in range(MOST_OF_A_KIND + 2)]
    assert taken == [True] * MOST_OF_A_KIND + [False] * 2
    assert floods.ended() == []
    now[0] = WINDOW_S
    assert floods.ended() == [("429", 2)]
    assert (floods.ended(), floods.has_left_out, floods.takes("429")) == ([], False, True)


def test_a_flood_of_kinds_is_bounded_too() -> None:
    floods = Floods(lambda: 0.0)
    assert sum(floods.takes(f"model {number}") for number in range(10_000)) < 250


def test_a_providers_failure_has_a_line_where_requests_have_none_and_a_flood_describes_no_more() -> None:
    chunks: list[bytes] = []
    described: list[str] = []

    def describe() -> dict[str, str]:
        described.append("")
        return {"id": "r1"}

    access = AccessLog(chunks.append, "x", floods=Floods(lambda: 0.0), unix_s=lambda: AT_S, each_request=False)
    access.note(scope("/v1/models"), "r1", 200, 0.0123)
    for _ in range(MOST_OF_A_KIND + 3):
        access.failed("m failed: auth", "WARNING", "m failed", describe)
    access.close()
    lines = b"".join(chunks).decode().splitlines()
    assert lines[0] == f"{STAMP} WARNING provider: m failed id=r1"
    assert (len(lines), len(described)) == (MOST_OF_A_KIND + 1, MOST_OF_A_KIND)
    assert lines[-1].endswith("and 3 more like this in 10 s: m failed: auth")


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
        r"\S{24} access POST /v1/chat/completions 200 [\d.]+ms id=\w{32} outcome=success user=\w{12} "
        r"tier=free model=free-model tokens=\d+\+\d+",
        served,
    )
    assert re.fullmatch(
        r"\S{24} access POST /v1/chat/completions 429 [\d.]+ms id=\w{32} code=rate_limit_exceeded "
        r"limit=requests-hour user=\w{12} tier=free",
        refused,
    )
    assert "alice" not in served


def test_a_user_has_another_pseudonym_in_each_run() -> None:
    asked = scope("/v1/chat/completions", **{ASKED: Asked(THE_OPERATOR)})
    lines = []
    for secret in ("of one run", "of the next"):
        chunks: list[bytes] = []
        access = AccessLog(chunks.append, secret, unix_s=lambda: AT_S)
        access.note(asked, "r1", 200, 0.0123)
        access.close()
        lines.append(b"".join(chunks))
    assert lines[0] != lines[1]
