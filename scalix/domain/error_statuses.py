"""Errors as HTTP has them: the one table of statuses, and of the types that OpenAI and Anthropic give them."""

from scalix.domain.errors import GatewayError, ProviderRefused

# code -> HTTP status, OpenAI's `type`, Anthropic's `type`
ANSWERS: dict[str, tuple[int, str, str]] = {
    "invalid_request": (400, "invalid_request_error", "invalid_request_error"),
    "invalid_api_key": (401, "authentication_error", "authentication_error"),
    "model_not_allowed": (403, "permission_error", "permission_error"),
    "user_blocked": (403, "permission_error", "permission_error"),
    "key_blocked": (403, "permission_error", "permission_error"),
    "feature_not_allowed": (403, "permission_error", "permission_error"),
    "ip_blocked": (403, "permission_error", "permission_error"),
    "not_permitted": (403, "permission_error", "permission_error"),
    "model_not_found": (404, "invalid_request_error", "not_found_error"),
    "route_not_found": (404, "invalid_request_error", "not_found_error"),
    "user_not_found": (404, "invalid_request_error", "not_found_error"),
    "key_not_found": (404, "invalid_request_error", "not_found_error"),
    "object_not_found": (404, "invalid_request_error", "not_found_error"),
    "coding_not_read": (501, "invalid_request_error", "invalid_request_error"),
    "method_not_allowed": (405, "invalid_request_error", "invalid_request_error"),
    "no_websockets": (426, "invalid_request_error", "invalid_request_error"),
    "user_exists": (409, "invalid_request_error", "invalid_request_error"),
    "key_alias_taken": (409, "invalid_request_error", "invalid_request_error"),
    "key_changing": (409, "invalid_request_error", "invalid_request_error"),
    "user_changing": (409, "invalid_request_error", "invalid_request_error"),
    "request_too_large": (413, "invalid_request_error", "request_too_large"),
    "rate_limit_exceeded": (429, "rate_limit_error", "rate_limit_error"),
    "insufficient_quota": (429, "insufficient_quota", "rate_limit_error"),
    "quota_reserved": (429, "rate_limit_error", "rate_limit_error"),
    "internal_error": (500, "api_error", "api_error"),
    "overloaded": (503, "api_error", "overloaded_error"),
    "store_unavailable": (503, "api_error", "overloaded_error"),
    "identity_unavailable": (503, "api_error", "overloaded_error"),
    "answer_untranslatable": (502, "api_error", "api_error"),
    "provider_unavailable": (503, "api_error", "overloaded_error"),
    "provider_refused": (400, "invalid_request_error", "invalid_request_error"),
    "context_length_exceeded": (400, "invalid_request_error", "invalid_request_error"),
    "content_filter": (400, "invalid_request_error", "invalid_request_error"),
}


def status_of(error: GatewayError) -> int:
    """The HTTP status of an error."""
    return error.status if isinstance(error, ProviderRefused) else ANSWERS[error.code][0]
