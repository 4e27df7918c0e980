"""What causes each error that a request can end in, and what its line in the log says beside status and code."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from scalix.domain.failures import ErrorClass
from scalix.edge.asgi import send_bytes
from scalix.service.administration.key_administration import new_secret
from scalix.service.exchange.attempts import NO_CONNECTION
from scalix.store.base import RecordChanged
from tests.edge.fallback_rig import Asked, Behaviour, fail
from tests.edge.gates import Answered
from tests.edge.log_rig import Told
from tests.service.token_issuer import TokenIssuer

Cause = Callable[[Told], Awaitable[Answered]]


@dataclass(frozen=True)
class Case:
    """`line`: fields of the request's line. `beside`: words of another line that has the request's id. `store_url`:
    another store than the one that is there."""

    code: str
    cause: Cause
    line: dict[str, str] = field(default_factory=dict)
    beside: str = ""
    store_url: str = ""


def chat(**more: Any) -> Cause:
    return lambda told: told.chat(**more)


def get(path: str, **more: Any) -> Cause:
    return lambda told: told.edge.call("GET", path, **more)


def failing(behaviour: Behaviour) -> Cause:
    async def cause(told: Told) -> Answered:
        told.behaves(behaviour)
        return await told.chat()

    return cause


def of_a_user(tier: str, body: dict[str, Any] | None = None, *, times: int = 1, **fields: Any) -> Cause:
    async def cause(told: Told) -> Answered:
        user = await told.user(tier, **fields)
        answers = [await told.chat(body={"user": user, **(body or {})}) for _ in range(times)]
        return answers[-1]

    return cause


def with_key(cause: Callable[[Told, str], Awaitable[Answered]], **fields: Any) -> Cause:
    async def ask(told: Told) -> Answered:
        return await cause(told, await told.key(**fields))

    return ask


async def blocked_key(told: Told, key: str) -> Answered:
    assert (await told.post("/key/block", key=key)).status == 200
    return await told.chat(key=key, body={"user": None})


def again(path: str, **body: Any) -> Cause:
    async def cause(told: Told) -> Answered:
        assert (await told.post(path, **body)).status == 200
        return await told.post(path, **body)

    return cause


async def _others_were_faster(*_: Any) -> Any:
    raise RecordChanged


async def changing_user(told: Told) -> Answered:
    user = await told.user("free")
    told.edge.core.administration.users.records.store.update = _others_were_faster  # type: ignore[assignment,method-assign]
    return await told.post("/user/update", user_id=user, tier="rich")


async def changing_key(told: Told, key: str) -> Answered:
    told.edge.core.administration.keys.keys.update = _others_were_faster  # type: ignore[assignment,method-assign]
    return await told.post("/key/update", key=key, key_alias="another")


async def reserved(told: Told) -> Answered:
    body = {"user": await told.user("narrow")}
    return await told.meanwhile(lambda: told.chat(body=body), body=body)  # of its 110 tokens the first holds 101


async def crowded(told: Told) -> Answered:
    return await told.meanwhile(lambda: told.meanwhile(told.chat))


async def no_room_left(told: Told) -> Answered:
    for _ in range(3):
        answered = await told.chat(body={"model": "free-limited"})
    return answered


async def resting(told: Told) -> Answered:
    told.behaves(fail(401, "Your account was closed.", "invalid_api_key"))
    for _ in range(2):
        answered = await told.chat()
    return answered


async def answered_whole(asked: Asked) -> None:
    asked.exchange.attempt.asked = asked.exchange.attempt.seen.answered_whole = True
    await send_bytes(asked.send, 500, orjson.dumps({"error": {"message": "can't be translated"}}))


async def never_asked(asked: Asked) -> None:
    raise RuntimeError("canary-of-a-crash")


async def inside(told: Told) -> Answered:
    async def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("canary-of-a-crash")

    told.edge.core.exchange.admission.admit = fails  # type: ignore[method-assign]
    return await told.chat()


TOKEN = TokenIssuer(algorithm="RS256", kid="k", issuer="https://issuer.test").token()
CASES: tuple[Case, ...] = (
    Case("invalid_request", chat(body={"messages": "hi"})),
    Case("invalid_api_key", chat(key="x"), {"reason": "no-kind-of-key"}),
    Case("invalid_api_key", chat(key=None), {"reason": "no-key"}),
    Case("invalid_api_key", chat(key=new_secret()), {"reason": "key-unknown"}),
    Case("invalid_api_key", get("/metrics", key=None), {"reason": "no-key"}),
    Case("model_not_allowed", of_a_user("free", {"model": "dear-model"})),
    Case("feature_not_allowed", of_a_user("free", {"scalix_options": {"enable_lazy_edits": True}})),
    Case("not_permitted", with_key(lambda told, key: told.edge.call("GET", "/user/list", key=key))),
    Case("user_blocked", of_a_user("free", blocked=True)),
    Case("key_blocked", with_key(blocked_key)),
    Case("ip_blocked", chat(address="198.51.100.7")),
    Case("model_not_found", chat(body={"model": "no-such-model"})),
    Case("route_not_found", get("/no/such/route")),
    Case("request_not_found", get("/scalix/v1/requests/no-such-request")),
    Case("object_not_found", with_key(lambda told, key: told.edge.call("GET", "/v1/responses/resp_x", key=key))),
    Case("user_not_found", get("/user/info", query=b"user_id=nobody")),
    Case("request_not_found", get(f"/scalix/v1/requests/{0:012x}{0:016x}")),
    Case("key_not_found", get("/key/info", query=b"key=sk-nobody")),
    Case("method_not_allowed", get("/v1/chat/completions")),
    Case("user_exists", again("/user/new", user_id="twice")),
    Case("key_alias_taken", again("/key/generate", user_id="u", key_alias="twice")),
    Case("user_changing", changing_user),
    Case("key_changing", with_key(changing_key)),
    Case("request_too_large", chat(headers=[(b"content-length", b"99999999999")])),
    Case("no_websockets", get("/v1/responses", headers=[(b"upgrade", b"websocket")])),
    Case("rate_limit_exceeded", of_a_user("once", times=2), {"limit": "requests-day"}),
    Case("insufficient_quota", of_a_user("few"), {"limit": "tokens-day"}),
    Case("quota_reserved", reserved, {"limit": "tokens-day"}),
    Case("model_at_limit", no_room_left, {"limit": "deployment-minute"}),
    Case("internal_error", inside, beside="RuntimeError at "),
    Case("internal_error", failing(never_asked), {"error_class": "internal"}, "failed with RuntimeError"),
    Case("coding_not_read", chat(headers=[(b"transfer-encoding", b"gzip")])),
    Case("answer_untranslatable", failing(answered_whole), {"error_class": "internal"}, "free-model failed"),
    Case("overloaded", crowded, {"reason": "The gateway is busy, and requests of your tier are the first to wait."}),
    Case("store_unavailable", chat(), {"reason": "the store failed: ConnectionError"}, store_url="redis://127.0.0.1:9"),
    Case("identity_unavailable", chat(key=TOKEN, body={"user": None}), {"reason": "no keys are known yet"}),
    Case("provider_unavailable", failing(fail(500, "The disk is full.")), {}, "free-model failed"),
    Case("provider_unavailable", resting, {"reason": "it rests after failures"}),
    Case(
        "provider_refused", failing(fail(400, "Bad temperature.")), {"error_class": "bad_request"}, "free-model failed"
    ),
    Case(
        "context_length_exceeded",
        failing(fail(400, "maximum context length")),
        {"error_class": "context_too_long"},
        "free-model failed",
    ),
    Case(
        "content_filter",
        failing(fail(400, "", "content_filter")),
        {"error_class": "content_filter"},
        "free-model failed",
    ),
)
# A provider's failure of each class, and words of the reason that it gives.
FAILURES: dict[ErrorClass, tuple[Behaviour, str]] = {
    ErrorClass.AUTH: (fail(401, "Your account was closed."), "account was closed"),
    ErrorClass.PROVIDER_QUOTA: (fail(402, "Pay first."), "Pay first"),
    ErrorClass.PROVIDER_RATE_LIMIT: (fail(429, "Slow down."), "Slow down"),
    ErrorClass.CONTEXT_TOO_LONG: (fail(400, "Beyond the maximum context length."), "maximum context length"),
    ErrorClass.CONTENT_FILTER: (fail(451, "Not in this country."), "Not in this country"),
    ErrorClass.BAD_REQUEST: (fail(422, "Bad temperature."), "Bad temperature"),
    ErrorClass.PROVIDER_DOWN: (fail(500, "The disk is full."), "The disk is full"),
    ErrorClass.TIMEOUT: (fail(504, "Upstream took too long."), "took too long"),
    ErrorClass.NETWORK: (fail(503, "", NO_CONNECTION), "no connection could be made"),
    ErrorClass.INTERNAL: (fail(404, "There is no such model."), "no such model"),
}
