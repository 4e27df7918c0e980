"""Errors as HTTP knows them: the one table of statuses, and of the types that OpenAI and Anthropic give to errors."""

from scalix.domain.errors import GatewayError, ProviderRefused

_INVALID, _PERMISSION, _API = "invalid_request_error", "permission_error", "api_error"
_RATE, _OVERLOADED = "rate_limit_error", "overloaded_error"

# HTTP status, OpenAI's `type` and Anthropic's `type` of each error code.
ANSWERS: dict[str, tuple[int, str, str]] = {
    code: answer
    for answer, codes in (
        (
            (400, _INVALID, _INVALID),
            ("invalid_request", "provider_refused", "context_length_exceeded", "content_filter"),
        ),
        ((401, "authentication_error", "authentication_error"), ("invalid_api_key",)),
        ((403, _PERMISSION, _PERMISSION), ("model_not_allowed", "feature_not_allowed", "not_permitted")),
        ((403, _PERMISSION, _PERMISSION), ("user_blocked", "key_blocked", "ip_blocked")),
        ((404, _INVALID, "not_found_error"), ("model_not_found", "route_not_found", "object_not_found")),
        ((404, _INVALID, "not_found_error"), ("user_not_found", "key_not_found", "request_not_found")),
        ((405, _INVALID, _INVALID), ("method_not_allowed",)),
        ((409, _INVALID, _INVALID), ("user_exists", "key_alias_taken", "key_changing", "user_changing")),
        ((413, _INVALID, "request_too_large"), ("request_too_large",)),
        ((426, _INVALID, _INVALID), ("no_websockets",)),
        ((429, _RATE, _RATE), ("rate_limit_exceeded", "quota_reserved", "model_at_limit")),
        ((429, "insufficient_quota", _RATE), ("insufficient_quota",)),
        ((500, _API, _API), ("internal_error",)),
        ((501, _INVALID, _INVALID), ("coding_not_read",)),
        ((502, _API, _API), ("answer_untranslatable",)),
        ((503, _API, _OVERLOADED), ("overloaded", "store_unavailable", "identity_unavailable", "provider_unavailable")),
    )
    for code in codes
}


def status_of(error: GatewayError) -> int:
    """The HTTP status of an error."""
    return error.status if isinstance(error, ProviderRefused) else ANSWERS[error.code][0]
