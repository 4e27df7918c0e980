"""The refusals that a client can meet, each with a stable code; `error_statuses.py` has their HTTP statuses."""

from dataclasses import dataclass, field
from typing import Any, Self

from scalix.domain.limits.key_states import KeyState
from scalix.domain.limits.quota import WindowState


@dataclass(eq=False)
class GatewayError(Exception):
    """A request is refused. A subclass names its code: `class BadRequest(GatewayError, code="invalid_request")`.

    `message` tells the client what to do and holds no secret. `param` is the field that is wrong. `details` become
    `error.scalix` in the answer. `windows`, `key_states` and `tier` belong to the caller and are set by admission; the
    edge makes rate-limit headers of them. `answers` caches the answer of an error that is raised more than once; it is
    `None` for all others. Logs alone are told `reason`, such as `expired`: what the code alone does not say;
    and `who`, the caller's name, where it is known.
    """

    message: str
    param: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    retry_after_s: int | None = None
    windows: tuple[WindowState, ...] = ()
    key_states: tuple[KeyState, ...] = ()
    tier: str | None = None
    answers: dict[bool, Any] | None = None
    reason: str = field(default="", kw_only=True)
    who: str = field(default="", kw_only=True)

    code = "internal_error"

    def __init_subclass__(cls, code: str = "") -> None:
        super().__init_subclass__()
        cls.code = code or cls.code

    def __str__(self) -> str:
        return self.message

    def anew(self) -> Self:
        """A copy that was never raised, for an error that is cached: a raised one keeps every frame of its traceback
        alive, and with them the whole request."""
        fresh = type(self)(self.message)
        fresh.__dict__.update(self.__dict__)
        return fresh


class BadRequest(GatewayError, code="invalid_request"):
    """The request is not valid."""


class InvalidApiKey(GatewayError, code="invalid_api_key"):
    """There is no credential, or an unknown one."""


class ModelNotAllowed(GatewayError, code="model_not_allowed"):
    """The caller's tier does not have this model."""


class FeatureNotAllowed(GatewayError, code="feature_not_allowed"):
    """The caller's tier does not have this feature."""


class KeyBlocked(GatewayError, code="key_blocked"):
    """The operator has blocked this virtual key."""


class UserBlocked(GatewayError, code="user_blocked"):
    """The operator has blocked this user."""


class IpBlocked(GatewayError, code="ip_blocked"):
    """Requests from this address are not taken."""


class NotPermitted(GatewayError, code="not_permitted"):
    """Only the operator may do this."""


class ModelNotFound(GatewayError, code="model_not_found"):
    """No model of this name is in service."""


class RouteNotFound(GatewayError, code="route_not_found"):
    """No such path here."""


class MethodNotAllowed(GatewayError, code="method_not_allowed"):
    """The path exists, but only with the methods in `allow`."""

    allow: tuple[str, ...] = ()


class NoWebSockets(GatewayError, code="no_websockets"):
    """The client asked for a WebSocket, and there are none. A client that knows both then uses HTTP."""


class CodingNotRead(GatewayError, code="coding_not_read"):
    """The body has a transfer encoding that is not supported."""


class UserNotFound(GatewayError, code="user_not_found"):
    """No user of this name is known."""


class KeyNotFound(GatewayError, code="key_not_found"):
    """There is no such virtual key."""


class RequestNotFound(GatewayError, code="request_not_found"):
    """The ledger has no request of this id, or none of the caller's."""


class KeyChanging(GatewayError, code="key_changing"):
    """Others kept writing this key's record, so that our write never succeeded."""


class KeyAliasTaken(GatewayError, code="key_alias_taken"):
    """Another virtual key has this alias."""


class UserChanging(GatewayError, code="user_changing"):
    """Others kept writing this user's record, so that our write never succeeded."""


class UserAlreadyExists(GatewayError, code="user_exists"):
    """There is a user of this name already."""


class ObjectNotFound(GatewayError, code="object_not_found"):
    """The id of an answer, a conversation, a file or a container that this gateway never gave to the caller."""


class RequestTooLarge(GatewayError, code="request_too_large"):
    """The body is larger than the gateway reads."""


class RateLimitExceeded(GatewayError, code="rate_limit_exceeded"):
    """A limit of requests, or of requests at once, is reached."""


class ModelAtLimit(GatewayError, code="model_at_limit"):
    """All deployments of a model have had what their operator lets them take in a minute. No limit of the caller's."""


class InsufficientQuota(GatewayError, code="insufficient_quota"):
    """A limit of tokens or money leaves too little."""


class QuotaReserved(GatewayError, code="quota_reserved"):
    """What is left of the quota is reserved by the caller's own requests in flight."""


class Overloaded(GatewayError, code="overloaded"):
    """This worker has too many requests in flight."""


class StoreIsDown(GatewayError, code="store_unavailable"):
    """The store is unreachable, and the caller's tier has `on_store_failure: deny`."""


class KeysUnavailable(GatewayError, code="identity_unavailable"):
    """The public keys of a token's issuer could not be fetched yet, so the token can't be checked."""


class ProviderFailed(GatewayError, code="provider_unavailable"):
    """The model's provider failed, and so did every fallback."""


class ProviderRefused(GatewayError, code="provider_refused"):
    """The provider refused what the client sent. `code` may be one of OpenAI's, on which clients act."""

    status = 400


class AnswerUntranslatable(GatewayError, code="answer_untranslatable"):
    """A provider answered, and its answer can't be translated to the route's format. Asking again costs as much."""


class InternalError(GatewayError):
    """The gateway itself is at fault."""
