"""The errors of a model that was asked and has not answered as it should, in the words that a client reads."""

import orjson

from scalix.domain.errors import AnswerUntranslatable, GatewayError, ProviderFailed
from scalix.domain.failures import ACCOUNTS, ErrorClass
from scalix.domain.requests.routes import Route
from scalix.edge.errors import error_body

RETRY_AFTER_S = 5


def untranslated(model: str) -> GatewayError:
    message = (
        f"'{model}' has answered, and its answer can't be put into the form of this API, as one that was cut in the "
        "middle of a tool call. What it used is charged. Allow a longer answer, or use another model."
    )
    return AnswerUntranslatable(message, details={"category": str(ErrorClass.INTERNAL)})


def too_large(model: str) -> GatewayError:
    message = (
        f"'{model}' has answered with more than this gateway reads at once. What was reserved for it is charged. "
        "Ask for fewer choices or log probabilities, or stream the answer."
    )
    return AnswerUntranslatable(message, details={"category": str(ErrorClass.INTERNAL)})


def provider_failed(model: str, error_class: ErrorClass, retry_after_s: int | None, *, others: int = 0) -> GatewayError:
    """The error when no provider answered; its own Retry-After is kept. `others`: how many models more were tried."""
    more = f", nor could {'another model' if others == 1 else f'{others} other models'}" if others else ""
    message = (
        f"The provider of '{model}' could not answer{more}. Nothing was charged. "
        "Try again shortly, or use another model."
    )
    wait_s = RETRY_AFTER_S if retry_after_s is None else retry_after_s
    # How it stands between the operator and the provider is nobody else's business.
    told = ErrorClass.PROVIDER_DOWN if error_class in ACCOUNTS else error_class
    return ProviderFailed(message, details={"category": str(told)}, retry_after_s=wait_s)


def broken_stream(model: str) -> GatewayError:
    """The error event at the end of a stream whose provider broke off."""
    message = (
        f"The provider of '{model}' broke off in the middle of its answer. "
        "What was delivered is charged. Send the request again for a whole answer."
    )
    return ProviderFailed(message)


def error_event(error: GatewayError, route: Route, sequence_number: int) -> bytes:
    """`error` as the last event of a stream of `route`, in the shape of its API."""
    if route is Route.MESSAGES:
        return b"event: error\ndata: " + error_body(error, anthropic=True) + b"\n\n"
    if route is Route.RESPONSES:
        # https://platform.openai.com/docs/api-reference/responses-streaming/error
        event = {"type": "error", "code": error.code, "message": error.message, "param": error.param}
        return b"event: error\ndata: " + orjson.dumps({**event, "sequence_number": sequence_number}) + b"\n\n"
    return b"data: " + error_body(error) + b"\n\n"
