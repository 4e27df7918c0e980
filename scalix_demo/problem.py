"""Error answers, in the shape of the API that was asked."""

from typing import Any

ANTHROPIC_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    529: "overloaded_error",
}
OPENAI_KINDS = {
    400: ("invalid_request_error", None, "The demo provider was told to refuse this request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided to the demo provider."),
    402: ("insufficient_quota", "insufficient_quota", "The demo provider's account has no credit."),
    403: ("invalid_request_error", "access_denied", "The demo provider denies access to this model."),
    404: ("invalid_request_error", "model_not_found", "The demo provider does not know this model."),
    408: ("timeout", "timeout", "The demo provider timed out."),
    413: ("invalid_request_error", "request_too_large", "The request is too large for the demo provider."),
    422: ("invalid_request_error", None, "The demo provider can't process this request."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached at the demo provider."),
}
SERVER_KIND = ("server_error", None, "The demo provider had an error while processing your request.")


class BadRequestError(Exception):
    """The client's request is wrong; answered with `status`, 400 unless told."""

    def __init__(self, message: str, param: str | None = None, status: int = 400) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.status = status


def error_body(
    status: int,
    *,
    anthropic: bool = False,
    message: str | None = None,
    kind: str | None = None,
    code: str | None = None,
    param: str | None = None,
) -> dict[str, Any]:
    """The JSON of an error: OpenAI's `{"error": …}`, or Anthropic's `{"type": "error", "error": …}`."""
    usual_kind, usual_code, usual_message = OPENAI_KINDS.get(status, SERVER_KIND)
    if anthropic:
        kind = kind or ANTHROPIC_TYPES.get(status, "api_error")
        return {"type": "error", "error": {"type": kind, "message": message or usual_message}}
    return {
        "error": {
            "message": message or usual_message,
            "type": kind or usual_kind,
            "param": param,
            "code": code or usual_code,
        }
    }
