"""Why a request did not get its answer: one word for what every provider says in its own way."""

from enum import StrEnum


class ErrorClass(StrEnum):
    """The taxonomy of failures behind the gateway."""

    AUTH = "auth"  # the provider does not take our key
    PROVIDER_QUOTA = "provider_quota"  # our account there has used up what it paid for
    PROVIDER_RATE_LIMIT = "provider_rate_limit"
    CONTEXT_TOO_LONG = "context_too_long"
    CONTENT_FILTER = "content_filter"
    BAD_REQUEST = "bad_request"
    PROVIDER_DOWN = "provider_down"
    TIMEOUT = "timeout"
    NETWORK = "network"
    INTERNAL = "internal"
