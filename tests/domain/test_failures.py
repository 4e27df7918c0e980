"""One class for what every provider, LiteLLM and the network say in their own ways."""

import http.client
import socket

import httpx
import openai
import pytest

from scalix.domain.failures import (
    HANDLING,
    REFUSALS,
    ErrorClass,
    class_of_exception,
    class_of_status,
    is_echo,
    kind_of_body,
    retry_after_of,
)

AUTH, QUOTA, RATE = ErrorClass.AUTH, ErrorClass.PROVIDER_QUOTA, ErrorClass.PROVIDER_RATE_LIMIT
LONG, FILTER, BAD = ErrorClass.CONTEXT_TOO_LONG, ErrorClass.CONTENT_FILTER, ErrorClass.BAD_REQUEST
DOWN, TIMEOUT, NETWORK, INTERNAL = (
    ErrorClass.PROVIDER_DOWN,
    ErrorClass.TIMEOUT,
    ErrorClass.NETWORK,
    ErrorClass.INTERNAL,
)

# What providers answered: status, codes and types as `kind_of_body` finds them, message.
ANSWERS = [
    # OpenAI, https://platform.openai.com/docs/guides/error-codes
    (401, "invalid_api_key invalid_request_error", "Incorrect API key provided: sk-abc.", AUTH),
    (403, "unsupported_country_region_territory request_forbidden", "Country, region, not supported", AUTH),
    (429, "insufficient_quota insufficient_quota", "You exceeded your current quota.", QUOTA),
    (429, "rate_limit_exceeded requests", "Rate limit reached for gpt-4 in organization org-x.", RATE),
    (400, "context_length_exceeded invalid_request_error", "This model's maximum context length is 8192.", LONG),
    (400, "content_policy_violation", "Your request was rejected by our safety system.", FILTER),
    (400, "invalid_prompt", "Invalid prompt: flagged as potentially violating our usage policy.", FILTER),
    (400, "unsupported_value invalid_request_error", "Unsupported value: 'temperature'", BAD),
    (404, "model_not_found invalid_request_error", "The model does not exist", INTERNAL),
    (503, "server_error", "The engine is currently overloaded", DOWN),
    # Anthropic, https://docs.anthropic.com/en/api/errors
    (400, "invalid_request_error", "prompt is too long: 210000 tokens > 200000 maximum", LONG),
    (400, "invalid_request_error", "input length and `max_tokens` exceed context limit: 199000 + 9000", LONG),
    (400, "invalid_request_error", "Your credit balance is too low to access the Anthropic API.", QUOTA),
    (400, "invalid_request_error", "Output blocked by content filtering policy", FILTER),
    (400, "invalid_request_error", "messages.0: at least one message is required", BAD),
    (401, "authentication_error", "invalid x-api-key", AUTH),
    (403, "permission_error", "Your API key does not have permission", AUTH),
    (404, "not_found_error", "model: claude-x", INTERNAL),
    (413, "request_too_large", "Request exceeds the maximum size", BAD),
    (422, "api_error", "can't process", BAD),
    (429, "rate_limit_error", "This request would exceed your rate limit", RATE),
    (529, "overloaded_error", "Overloaded", DOWN),
    (502, "overloaded_error", "an event inside a 200", DOWN),
    # Gemini, https://ai.google.dev/gemini-api/docs/troubleshooting
    (400, "INVALID_ARGUMENT API_KEY_INVALID", "API key not valid. Please pass a valid API key.", AUTH),
    (400, "INVALID_ARGUMENT", "The input token count (2000000) exceeds the maximum number of tokens allowed.", LONG),
    (400, "INVALID_ARGUMENT", "Invalid value at 'contents'", BAD),
    (403, "PERMISSION_DENIED", "Your API key was reported as leaked.", AUTH),
    (429, "RESOURCE_EXHAUSTED", "You exceeded your current quota, please check your plan and billing details.", RATE),
    (503, "UNAVAILABLE", "The model is overloaded. Please try again later.", DOWN),
    (504, "DEADLINE_EXCEEDED", "Deadline expired before operation could complete.", TIMEOUT),
    # DeepSeek, https://api-docs.deepseek.com/quick_start/error_codes
    (402, "invalid_request_error unknown_error", "Insufficient Balance", QUOTA),
    (400, "invalid_request_error", "Content Exists Risk", FILTER),
    (400, "invalid_request_error", "This model's maximum context length is 65536 tokens.", LONG),
    # OpenRouter, https://openrouter.ai/docs/api-reference/errors
    (402, "", "This request requires more credits, or fewer max_tokens.", QUOTA),
    (403, "", "Your chosen model requires moderation and your input was flagged", FILTER),
    (408, "", "Your request timed out", TIMEOUT),
    (502, "", "Your chosen model is down or we received an invalid response from it", DOWN),
    # vLLM and others behind an OpenAI-compatible URL
    (400, "BadRequestError", "This model's maximum context length is 4096 tokens. Please reduce the length", LONG),
    (413, "", "Request too large: exceeds the limit of 6000 tokens", LONG),
    (451, "", "", FILTER),
    (418, "", "", BAD),
    (599, "", "", DOWN),
]


@pytest.mark.parametrize(("status", "kind", "message", "expected"), ANSWERS)
def test_an_answer_of_a_provider_has_its_class(status: int, kind: str, message: str, expected: ErrorClass) -> None:
    assert class_of_status(status, kind, message) is expected


QUOTED = "Invalid value: 'Insufficient balance'"


@pytest.mark.parametrize(
    ("status", "kind", "message", "written", "expected"),
    [
        (400, "invalid_request_error", QUOTED, b'{"stop":"insufficient balance"}', True),
        (400, "invalid_request_error", QUOTED, b'{"stop":"x"}', False),
        (400, "invalid_request_error", "too long", b'{"stop":"insufficient balance"}', False),
        (400, "INVALID_ARGUMENT API_KEY_INVALID", "API key not valid.", b'{"stop":"API key not valid"}', False),
        (400, "", "API key not valid.", b'{"stop":"API key not valid"}', True),
        (402, "", "Insufficient balance", b"insufficient balance", False),
        (500, "", "insufficient balance", b"insufficient balance", False),
    ],
)
def test_words_about_the_account_that_the_request_holds_too_are_an_echo(
    status: int, kind: str, message: str, written: bytes, expected: bool
) -> None:
    assert is_echo(status, kind, message, written) is expected


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": "m", "type": "insufficient_quota", "code": "c"}}, "c insufficient_quota"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}, "overloaded_error"),
        (
            {"error": {"code": 400, "status": "INVALID_ARGUMENT", "details": [{"reason": "API_KEY_INVALID"}]}},
            "INVALID_ARGUMENT API_KEY_INVALID",
        ),
        ([{"error": {"code": 429, "status": "RESOURCE_EXHAUSTED"}}], "RESOURCE_EXHAUSTED"),
        (
            {"error": {"code": "content_filter", "innererror": {"code": "ResponsibleAIPolicyViolation"}}},
            "content_filter ResponsibleAIPolicyViolation",
        ),
        ({"object": "error", "type": "BadRequestError", "message": "m", "code": 400}, "BadRequestError"),
        ({"error": {"code": "a prompt of somebody's"}}, ""),
        ({"error": "text"}, ""),
        ([], ""),
        (None, ""),
    ],
)
def test_codes_are_found_in_every_format_and_nothing_but_codes(body: object, kind: str) -> None:
    assert kind_of_body(body) == kind


REQUEST = httpx.Request("POST", "http://provider")


def _status_error(status: int, kind: type[openai.APIStatusError], code: str = "") -> openai.APIStatusError:
    response = httpx.Response(status, request=REQUEST, headers={"retry-after": "17"})
    return kind("said", response=response, body={"code": code, "type": None})


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (_status_error(401, openai.AuthenticationError), AUTH),
        (_status_error(403, openai.PermissionDeniedError), AUTH),
        (_status_error(404, openai.NotFoundError), INTERNAL),
        (_status_error(400, openai.BadRequestError), BAD),
        (_status_error(400, openai.BadRequestError, "context_length_exceeded"), LONG),
        (_status_error(429, openai.RateLimitError), RATE),
        (_status_error(429, openai.RateLimitError, "insufficient_quota"), QUOTA),
        (_status_error(500, openai.InternalServerError), DOWN),
        (openai.APITimeoutError(REQUEST), TIMEOUT),
        (openai.APIConnectionError(request=REQUEST), NETWORK),
        (httpx.ReadTimeout("slow"), TIMEOUT),
        (httpx.ConnectError("refused"), NETWORK),
        (httpx.HTTPStatusError("m", request=REQUEST, response=httpx.Response(402, request=REQUEST)), QUOTA),
        (TimeoutError(), TIMEOUT),
        (ConnectionRefusedError(), NETWORK),
        (socket.gaierror(), NETWORK),
        (http.client.HTTPException(), INTERNAL),
        (ValueError("anything"), INTERNAL),
    ],
)
def test_an_exception_of_any_library_has_its_class_by_its_looks(error: Exception, expected: ErrorClass) -> None:
    assert class_of_exception(error) is expected


def test_what_a_provider_asks_to_wait_is_found_in_an_exception() -> None:
    assert retry_after_of(_status_error(429, openai.RateLimitError)) == "17"
    assert retry_after_of(ValueError()) is None


def test_every_class_is_handled_and_only_a_wrong_request_stays_with_its_model() -> None:
    assert set(HANDLING) == set(ErrorClass)
    assert {found for found in ErrorClass if not HANDLING[found].falls_back} == {BAD}
    assert {found for found in ErrorClass if HANDLING[found].fault == "client"} == REFUSALS
    assert not any(HANDLING[found].cools for found in REFUSALS)
    assert not any(HANDLING[found].retryable for found in (*REFUSALS, AUTH, QUOTA))
    assert all((handling.wait_s is not None) is handling.retryable for handling in HANDLING.values())
