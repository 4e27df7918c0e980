"""Every error that a request can end in has one line in the log, under the id that the client has, with its reason."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from scalix.domain.error_statuses import ANSWERS
from scalix.domain.errors import GatewayError
from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Admitted, Outcome
from tests.edge.fallback_rig import Asked, Behaviour, break_off, fail, hang, serve
from tests.edge.log_cases import CASES, FAILURES, Case
from tests.edge.log_rig import HI, Told, told
from tests.store.stores import ask, limits, redis_rig


@pytest.fixture
async def log(tmp_path: Path, store_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    async with told(tmp_path, store_url, key_prefix, monkeypatch) as made:
        yield made


def kinds_of(kind: type[GatewayError]) -> set[type[GatewayError]]:
    return {kind}.union(*map(kinds_of, kind.__subclasses__()))


def test_every_code_has_a_case_here() -> None:
    """Add to `CASES` in `log_cases.py` what causes a new one."""
    own = {kind.code for kind in kinds_of(GatewayError) if kind.__module__.startswith("scalix")}
    assert own <= set(ANSWERS)
    assert set(ANSWERS) == {case.code for case in CASES}


def name_of(case: Case) -> str:
    return "-".join([case.code, *case.line.values()]).lower()


@pytest.mark.parametrize("case", CASES, ids=name_of)
async def test_a_request_that_is_answered_with_an_error_has_one_line_with_its_code_and_reason(
    case: Case, tmp_path: Path, store_url: str, key_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with told(tmp_path, case.store_url or store_url, key_prefix, monkeypatch) as log:
        answered = await case.cause(log)
        request_id = answered.headers["x-request-id"]
        line = log.line(request_id)
        beside = [one for one in log.lines(request_id) if one is not line]
    assert answered.error["code"] == line["code"] == case.code
    assert answered.status == line["status"] == ANSWERS[case.code][0]
    assert {name: line.get(name) for name in case.line} == case.line
    assert not case.beside or any(case.beside in one["message"] for one in beside)
    # Why must not be left open where the code does not say it.
    assert (
        line["status"] in (400, 403, 404, 405, 409, 413, 426, 501)
        or line.keys() & {"limit", "reason", "error_class"}
        or case.beside
    )
    assert "canary" not in str(log.chunks)


@pytest.mark.parametrize("error_class", ErrorClass)
async def test_a_providers_failure_has_its_class_and_its_reason(log: Told, error_class: ErrorClass) -> None:
    behaviour, reason = FAILURES[error_class]
    log.behaves(behaviour)
    answered = await log.chat()
    request_id = answered.headers["x-request-id"]
    line, (failure,) = (
        log.line(request_id),
        [one for one in log.lines(request_id) if one["logger"] == "scalix.provider"],
    )
    assert (line["status"], line["code"]) == (answered.status, answered.error["code"])
    assert line["error_class"] == failure["error_class"] == error_class
    assert reason in failure["reason"]
    assert failure["provider"] == "openai"


async def kept(asked: Asked) -> None:
    asked.exchange.attempt.cache_hit = True
    await serve(asked)


async def until_gone(asked: Asked) -> None:
    """The answer comes when its client has gone."""
    asked.exchange.attempt.asked = True
    assert (await asked.receive())["type"] == "http.disconnect"
    await serve(asked)


async def begun_until_gone(asked: Asked) -> None:
    """A stream that has begun when its client goes."""
    asked.exchange.attempt.asked = True
    await asked.send(
        {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/event-stream")]}
    )
    event = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n'
    await asked.send({"type": "http.response.body", "body": event, "more_body": True})
    await until_gone(asked)


# Of each way to end: how the provider behaves, whether the answer is streamed, the status in the line, and its class.
ENDINGS: dict[Outcome, tuple[Behaviour, bool, int | None, str | None]] = {
    Outcome.SUCCESS: (serve, False, 200, None),
    Outcome.CACHE_HIT: (kept, False, 200, None),
    Outcome.CLIENT_CUT: (begun_until_gone, True, 200, None),
    Outcome.CLIENT_LEFT: (until_gone, False, 200, None),
    Outcome.PROVIDER_BROKE: (break_off, True, 200, "provider_down"),
    Outcome.PROVIDER_FAILED: (fail(500, "The disk is full."), False, 503, "provider_down"),
    Outcome.PROVIDER_REFUSED: (fail(400, "Bad temperature."), False, 400, "bad_request"),
}
OWN_ID = (b"x-request-id", b"own-id.1")


def leaving(body: dict[str, Any], asked: asyncio.Event) -> Any:
    """A client that goes when the provider has been asked."""
    messages = [{"type": "http.request", "body": orjson.dumps(body), "more_body": False}]

    async def receive() -> Any:
        if messages:
            return messages.pop()
        await asked.wait()
        return {"type": "http.disconnect"}

    return receive


def test_every_way_to_end_has_a_case_here() -> None:
    assert {*ENDINGS, Outcome.SWEPT} == set(Outcome)


@pytest.mark.parametrize("outcome", ENDINGS)
async def test_a_request_has_one_line_with_its_outcome_however_it_ends(log: Told, outcome: Outcome) -> None:
    behaviour, streamed, status, error_class = ENDINGS[outcome]
    has_asked = asyncio.Event()

    async def behave(asked: Asked) -> None:
        has_asked.set()
        await behaviour(asked)

    log.behaves(behave)
    body = {"model": "free-model", "user": "u", "messages": HI, "stream": streamed}
    receive = leaving(body, has_asked) if outcome in (Outcome.CLIENT_CUT, Outcome.CLIENT_LEFT) else None
    await log.edge.call(body=body, headers=[OWN_ID], receive=receive)
    line = log.line("own-id.1")
    assert (line["outcome"], line["status"], line.get("error_class")) == (outcome, status, error_class)


async def test_a_stream_whose_client_goes_before_it_began_has_its_line_without_a_status(log: Told) -> None:
    has_asked = asyncio.Event()

    async def behave(asked: Asked) -> None:
        has_asked.set()
        await hang(asked)

    log.behaves(behave)
    body = {"model": "free-model", "user": "u", "messages": HI, "stream": True}
    await log.edge.call(body=body, headers=[OWN_ID], receive=leaving(body, has_asked))
    line = log.line("own-id.1")
    assert (line["outcome"], line["status"]) == ("client_left", None)


async def test_a_request_whose_worker_died_has_a_line_when_it_is_swept(
    log: Told, store_url: str, key_prefix: str
) -> None:
    rig = redis_rig(store_url, key_prefix)
    asked = ask("of-the-dead", limits(requests={"day": 10}), lease_ms=1)
    assert isinstance(await rig.quotas.admit(asked), Admitted)
    await rig.close()
    rig.clock.advance(seconds=1)
    assert await log.edge.core.exchange.settlement.sweep() == 1
    (line,) = log.lines("of-the-dead")
    assert (line["outcome"], line["level"]) == ("swept", "WARNING")


async def test_what_is_refused_before_there_is_a_task_has_the_same_line(log: Told) -> None:
    body = {"user": await log.user("once")}
    answers = [await log.chat(body=body) for _ in range(2)]
    while not answers[-1].was_at_once:  # what is known holds within one second of the store's clock
        answers.append(await log.chat(body=body))
    wrong = await log.chat(key="x")
    assert wrong.was_at_once
    lines = [log.line(answered.headers["x-request-id"]) for answered in (answers[1], answers[-1], wrong)]
    said = [(line["status"], line["code"], line.get("limit"), line.get("reason")) for line in lines]
    used_up = (429, "rate_limit_exceeded", "requests-day", None)
    assert said == [used_up, used_up, (401, "invalid_api_key", None, "no-kind-of-key")]
