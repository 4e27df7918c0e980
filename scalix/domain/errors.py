"""Everything that can be wrong with a request, with stable codes; `error_statuses.py` has their HTTP statuses."""

from dataclasses import dataclass, field
from typing import Any, Self

from scalix.domain.limits.key_states import KeyState
from scalix.domain.limits.quota import WindowState


@dataclass(eq=False)
class GatewayError(Exception):
    """A refusal. `message` says what to do and holds no secret; `details` go into `error.scalix`.

    `windows`, `key_states` and `tier` are the caller's, where the refusal comes from admission: its headers tell them.
    `answers` is where the edge may keep what it has made of an error that is raised more than once; `None` for all
    others.
    """

    message: str
    param: str | None = None
    details: dict[str, Any] = field(default_factory=dict)
    retry_after_s: int | None = None
    windows: tuple[WindowState, ...] = ()
    key_states: tuple[KeyState, ...] = ()
    tier: str | None = None
    answers: dict[bool, Any] | None = None

    code = "internal_error"
    who = ""  # the caller's name for the audit log, where it is known; not told to clients
    reason = ""  # a word for the audit log, such as `expired`; not told to clients

    def __str__(self) -> str:
        return self.message

    def anew(self) -> Self:
        """The same error, never raised: for one that is kept. What has been raised holds every frame that it went
        through, and with them the whole request."""
        fresh = type(self)(self.message)
        fresh.__dict__.update(self.__dict__)
        return fresh


class BadRequest(GatewayError):
    """What the client sent makes no sense, or may not be sent."""

    code = "invalid_request"


class InvalidApiKey(GatewayError):
    """No credential, or one that means nothing to us."""

    code = "invalid_api_key"


class ModelNotAllowed(GatewayError):
    """The caller's tier does not have this model."""

    code = "model_not_allowed"


class FeatureNotAllowed(GatewayError):
    """The caller's tier does not have this feature."""

    code = "feature_not_allowed"


class KeyBlocked(GatewayError):
    """The operator has blocked this virtual key."""

    code = "key_blocked"


class UserBlocked(GatewayError):
    """The operator has blocked this user."""

    code = "user_blocked"


class IpBlocked(GatewayError):
    """Requests from this address are not taken."""

    code = "ip_blocked"


class NotPermitted(GatewayError):
    """Only the operator may do this."""

    code = "not_permitted"


class ModelNotFound(GatewayError):
    """No model of this name is in service."""

    code = "model_not_found"


class RouteNotFound(GatewayError):
    """No such path here."""

    code = "route_not_found"


class MethodNotAllowed(GatewayError):
    """The path exists, with the methods in `allow`."""

    code = "method_not_allowed"
    allow: tuple[str, ...] = ()


class NoWebSockets(GatewayError):
    """The client wants to go on by a WebSocket. There are none; one that knows both goes on by HTTP at once."""

    code = "no_websockets"


class CodingNotRead(GatewayError):
    """The body comes in a transfer encoding that is not read."""

    code = "coding_not_read"


class UserNotFound(GatewayError):
    """No user of this name is known."""

    code = "user_not_found"


class KeyNotFound(GatewayError):
    """There is no such virtual key."""

    code = "key_not_found"


class KeyChanging(GatewayError):
    """Others kept writing this key's record while we tried to."""

    code = "key_changing"


class KeyAliasTaken(GatewayError):
    """Another virtual key has this alias."""

    code = "key_alias_taken"


class UserChanging(GatewayError):
    """Others kept writing this user's record while we tried to."""

    code = "user_changing"


class UserAlreadyExists(GatewayError):
    """A user of this name has a record."""

    code = "user_exists"


class ObjectNotFound(GatewayError):
    """An id names something that the caller was not given here: an answer, a conversation, a file, a container."""

    code = "object_not_found"


class RequestTooLarge(GatewayError):
    """The body is larger than we read."""

    code = "request_too_large"


class RateLimitExceeded(GatewayError):
    """A limit of requests, or of requests at once, is reached."""

    code = "rate_limit_exceeded"


class InsufficientQuota(GatewayError):
    """A limit of tokens or money leaves too little."""

    code = "insufficient_quota"


class QuotaReserved(GatewayError):
    """There is quota left, but the caller's own requests in flight hold it."""

    code = "quota_reserved"


class Overloaded(GatewayError):
    """There are more requests in flight than this worker carries."""

    code = "overloaded"


class StoreIsDown(GatewayError):
    """The store is away and this caller's tier does not go on without it."""

    code = "store_unavailable"


class KeysUnavailable(GatewayError):
    """An issuer's keys have never been read, so its tokens can't be checked."""

    code = "identity_unavailable"


class ProviderFailed(GatewayError):
    """The model's provider, and every fallback, failed."""

    code = "provider_unavailable"


class ProviderRefused(GatewayError):
    """The provider refused what the client sent. `code` may be one of OpenAI's, on which clients act."""

    code = "provider_refused"
    status = 400


class AnswerUntranslatable(GatewayError):
    """A provider has answered, and its answer can't be put into the form of the route. To ask again costs as much."""

    code = "answer_untranslatable"


class InternalError(GatewayError):
    """Our own fault."""
