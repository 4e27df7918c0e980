"""What a client reads of a provider's error, in every provider's format: what is about its request, and no secret."""

import json
from typing import Any

import httpx
import orjson
import pytest
from fastapi import HTTPException

from scalix.domain.errors import BadRequest, ProviderFailed, ProviderRefused
from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Outcome
from scalix.edge.errors import error_body
from scalix.edge.provider_errors import failed
from scalix.litellm_adapter.reports import failure_of
from scalix.service.answers.provider_errors import provider_error
from scalix.service.exchange.attempts import Attempt, Failure
from scalix.service.exchange.exchanges import Exchange
from tests.exchanges import made_exchange

CANARIES = [
    "sk-proj-canary0123456789",
    "AIzaSyCanary0123456789",
    "org-CANARY0123456789",
    "proj_canary0123456789",
    "https://canary.internal.example/v1?key=1",
    "ops@canary.example",
    "projects/canary-771234",
    "'canary-corp'",
    "canary-tenant-9",
    "Bearer canarycanary1",
]
SAID = (
    "The field 'temperature' is out of range; key sk-proj-canary0123456789 or AIzaSyCanary0123456789 of "
    "org-CANARY0123456789 (organization 'canary-corp', tenant canary-tenant-9, projects/canary-771234), "
    "proj_canary0123456789 at https://canary.internal.example/v1?key=1 by ops@canary.example, Bearer canarycanary1."
)
FORMATS: dict[str, Any] = {
    "openai": lambda said: {"error": {"message": said, "type": "invalid_request_error", "param": "x", "code": None}},
    "anthropic": lambda said: {"type": "error", "error": {"type": "invalid_request_error", "message": said}},
    "gemini": lambda said: {"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}},
    "gemini stream": lambda said: [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}],
    "openrouter": lambda said: {"error": {"message": said, "code": 400, "metadata": {"provider_name": "canary-corp"}}},
    "vllm": lambda said: {"object": "error", "message": said, "type": "BadRequestError", "code": 400},
    "fastapi": lambda said: {"detail": said},
    "text": lambda said: said,
}


def _exchange(**known: Any) -> Exchange:
    """One whose provider was asked."""
    attempt = Attempt(asked=known.pop("asked", True), failures=known.pop("failures", []))
    attempt.seen.error = known.pop("provider_error", None)
    attempt.written = known.pop("written", b"")
    return made_exchange(attempt=attempt, **known)


@pytest.mark.parametrize("written", FORMATS)
def test_a_refusal_says_what_is_wrong_and_no_secret(written: str) -> None:
    body = json.dumps(FORMATS[written](SAID)).encode()
    seen = failed(_exchange(provider_error=provider_error(400, httpx.Headers(), body)), "m", 400)

    assert (seen.outcome, seen.error_class) == (Outcome.PROVIDER_REFUSED, ErrorClass.BAD_REQUEST)
    assert isinstance(seen.error, ProviderRefused)
    assert "'temperature' is out of range" in seen.error.message
    assert not [canary for canary in CANARIES if canary.strip("'") in seen.error.message]


@pytest.mark.parametrize("written", FORMATS)
@pytest.mark.parametrize("status", [401, 402, 403, 404, 408, 429, 500, 503, 529])
def test_of_a_providers_own_trouble_nothing_that_it_says_is_told(written: str, status: int) -> None:
    body = json.dumps(FORMATS[written](SAID)).encode()
    seen = failed(_exchange(provider_error=provider_error(status, httpx.Headers(), body)), "m", status)

    assert seen.outcome is Outcome.PROVIDER_FAILED
    assert isinstance(seen.error, ProviderFailed)
    assert "temperature" not in seen.error.message
    assert seen.error.details["category"] not in ("auth", "provider_quota")
    assert not [canary for canary in CANARIES if canary in str(seen.error.details) + seen.error.message]


@pytest.mark.parametrize(
    ("said", "error_class", "told", "code"),
    [
        (
            "prompt is too long: 9 tokens > 8 maximum",
            ErrorClass.CONTEXT_TOO_LONG,
            "larger context window",
            "context_length_exceeded",
        ),
        ("Content Exists Risk", ErrorClass.CONTENT_FILTER, "reword the request", "content_filter"),
    ],
)
def test_what_the_client_can_do_is_told_under_openais_code(
    said: str, error_class: ErrorClass, told: str, code: str
) -> None:
    body = json.dumps({"error": {"message": said}}).encode()
    seen = failed(_exchange(provider_error=provider_error(400, httpx.Headers(), body)), "m", 400)
    details = {"category": error_class, "code": "provider_refused"}
    assert (seen.error_class, seen.error.details, seen.error.code) == (error_class, details, code)
    assert orjson.loads(error_body(seen.error))["error"]["code"] == code
    assert said in seen.error.message
    assert told in seen.error.message


def test_agents_on_anthropics_route_read_that_a_prompt_is_too_long_in_anthropics_words() -> None:
    """They compact on these, whatever provider is behind the route."""
    said = "This model's maximum context length is 8192 tokens."
    body = json.dumps({"error": {"message": said, "code": "context_length_exceeded"}}).encode()
    seen = failed(_exchange(provider_error=provider_error(400, httpx.Headers(), body)), "m", 400)
    told = orjson.loads(error_body(seen.error, anthropic=True))
    assert told["type"] == "error"
    assert told["error"]["type"] == "invalid_request_error"
    assert told["error"]["message"].startswith("prompt is too long: ")
    assert said in told["error"]["message"]


def test_gemini_s_word_for_a_retry_after_is_understood() -> None:
    delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
    body = json.dumps({"error": {"code": 429, "status": "RESOURCE_EXHAUSTED", "details": [delay]}}).encode()
    seen = failed(_exchange(provider_error=provider_error(429, httpx.Headers(), body)), "m", 429)
    assert (seen.retry_after_s, seen.error.retry_after_s, seen.blames_model) == (35, 35, True)


def test_a_request_that_is_too_large_for_a_minutes_tokens_blames_no_model() -> None:
    said = (
        "Request too large for gpt-4 in organization org-CANARY0123456789 on tokens per min (TPM): Limit 10000, "
        "Requested 12000. The input or output tokens must be reduced in order to run successfully."
    )
    body = json.dumps({"error": {"message": said, "type": "tokens", "code": "rate_limit_exceeded"}}).encode()
    seen = failed(_exchange(provider_error=provider_error(429, httpx.Headers({"retry-after": "60"}), body)), "m", 429)
    assert (seen.outcome, seen.error_class) == (Outcome.PROVIDER_FAILED, ErrorClass.PROVIDER_RATE_LIMIT)
    assert not seen.blames_model


def test_a_file_that_is_somebody_elses_blames_no_model() -> None:
    said = "You do not have permission to access the File abc123 or it may not exist."
    for message, blames_model in ((said, False), ("Permission denied: the key was revoked.", True)):
        body = json.dumps({"error": {"code": 403, "message": message, "status": "PERMISSION_DENIED"}}).encode()
        seen = failed(_exchange(provider_error=provider_error(403, httpx.Headers(), body)), "m", 403)
        assert (seen.error_class, seen.blames_model) == (ErrorClass.AUTH, blames_model)


def test_without_an_answer_of_the_provider_litellms_exception_says_the_class() -> None:
    failure = Failure(None, "Timeout", "litellm.Timeout: slow", None, ErrorClass.TIMEOUT)
    seen = failed(_exchange(failures=[failure]), "m", 500)
    assert (seen.error_class, seen.outcome) == (ErrorClass.TIMEOUT, Outcome.PROVIDER_FAILED)


@pytest.mark.parametrize("body", [b"", b"null", b"[]", b"{", b'{"error": 5}', b'{"error": {"message": []}}', b"\xff"])
def test_an_odd_body_is_a_failure_like_any_other(body: bytes) -> None:
    assert failed(_exchange(), "m", 400, body).error_class is ErrorClass.BAD_REQUEST
    assert failed(_exchange(provider_error=provider_error(400, httpx.Headers(), body)), "m", 400).error.message


def test_words_that_a_provider_quotes_are_an_echo_where_only_litellm_has_read_its_answer_too() -> None:
    said = Failure(400, "BadRequestError", "stop: 'Insufficient balance'", None, ErrorClass.PROVIDER_QUOTA)
    written = b'{"stop":"Insufficient balance"}'
    assert failed(_exchange(failures=[said], written=written), "m", 400).outcome is Outcome.PROVIDER_REFUSED
    assert failed(_exchange(failures=[said]), "m", 400).outcome is Outcome.PROVIDER_FAILED


def test_what_a_guardrail_of_the_operators_refuses_is_a_400_in_its_words_and_no_fault_of_the_gateway() -> None:
    said = HTTPException(400, "forbidden word; ask ops@canary.example")
    exchange = _exchange(
        asked=False,
        failures=[failure_of(said)],
    )
    seen = failed(exchange, "m", 400)
    assert (seen.outcome, type(seen.error), seen.is_last) == (Outcome.PROVIDER_REFUSED, BadRequest, True)
    assert "refused by a rule of this gateway" in seen.error.message
    assert "forbidden word" in seen.error.message
    assert "canary" not in seen.error.message
