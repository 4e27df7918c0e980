"""`error_handler`: what errors of every make mean, without LiteLLM."""

from typing import Any

import pytest

from scalix.api.failures import ErrorHandler

SECRET = "sk-canary-in-a-providers-message"


class RateLimitError(Exception):
    """Looks like LiteLLM's and OpenAI's."""

    status_code = 429

    def __init__(self, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.response = type("Response", (), {"headers": headers or {}, "status_code": 429})()


@pytest.mark.parametrize(
    ("error", "metadata", "category", "retryable", "wait_s"),
    [
        (TimeoutError("x"), None, "timeout", True, 5),
        (ConnectionResetError("x"), None, "network", True, 5),
        (RateLimitError("slow down"), None, "provider_rate_limit", True, 5),
        (RateLimitError("slow down", {"retry-after": "17"}), None, "provider_rate_limit", True, 17),
        (RateLimitError("slow down", {"retry-after": "0.2"}), None, "provider_rate_limit", True, 1),
        (RateLimitError("slow down", {"retry-after": "99999999"}), None, "provider_rate_limit", True, 3_600),
        (RateLimitError("x", {"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}), None, "provider_rate_limit", True, 0),
        (RateLimitError("x", {"retry-after": "soon"}), None, "provider_rate_limit", True, 5),
        (RateLimitError("x", {"retry-after": "Infinity"}), None, "provider_rate_limit", True, 5),
        (RateLimitError("x", {"retry-after": "1e999"}), None, "provider_rate_limit", True, 5),
        (RateLimitError("You exceeded: insufficient_quota"), None, "provider_quota", False, None),
        ("too many", {"status_code": 429, "retry_after": 3}, "provider_rate_limit", True, 3),
        ("Incorrect API key", {"status_code": 401}, "auth", False, None),
        ("boom", {"status_code": 503}, "provider_down", True, 5),
        ({"error": {"code": "context_length_exceeded"}}, None, "context_too_long", False, None),
        ({"error": {"type": "overloaded_error"}}, {"status_code": 529}, "provider_down", True, 5),
        ("what is this?", None, "internal", True, 5),
        (None, None, "internal", True, 5),
        (KeyError("x"), None, "internal", True, 5),
    ],
)
def test_an_error_has_a_category_and_says_whether_and_when_to_try_again(
    error: Any, metadata: dict[str, Any] | None, category: str, retryable: bool, wait_s: int | None
) -> None:
    found = ErrorHandler().handle_error("ann", "gpt-4", error, metadata)
    assert (found["category"], found["retryable"], found["wait_s"]) == (category, retryable, wait_s)


def test_what_a_user_is_told_holds_nothing_that_the_provider_said() -> None:
    for error in (RateLimitError(SECRET), SECRET, {"error": {"message": SECRET, "code": "content_filter"}}):
        found = ErrorHandler().handle_error("ann", "gpt-4", error)
        assert SECRET not in str(found)
        assert found["message"].endswith(".")
