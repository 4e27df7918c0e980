"""What spans say: OpenTelemetry's semantic conventions for HTTP and for generative AI, and `scalix.*` beside them.

No content, no address, no query and no name of a user: the pseudonym of the log stands for it.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from scalix.domain.limits.limits import NANO_USD_PER_USD
from scalix.domain.requests.routes import Route
from scalix.domain.traceparent import Place
from scalix.edge.access_log import ASKED, METHODS, Asked
from scalix.edge.asgi import Scope
from scalix.edge.own_address import is_secure
from scalix.edge.routes import shown_route
from scalix.service.exchange.endings import with_stated
from scalix.service.exchange.exchanges import Exchange
from scalix.service.tracing.request_traces import RequestTrace, Tried

Value = str | int | float | Sequence[str]

_OPERATIONS = {Route.COMPLETIONS: "text_completion", Route.EMBEDDINGS: "embeddings"}
# Well-known providers have other names there than LiteLLM's.
_SYSTEMS = {
    "azure": "az.ai.openai",
    "azure_text": "az.ai.openai",
    "azure_ai": "az.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gemini",
    "mistral": "mistral_ai",
    "text-completion-openai": "openai",
    "vertex_ai": "vertex_ai",
    "watsonx": "ibm.watsonx.ai",
}
_LATEST = {
    **_SYSTEMS,
    "azure": "azure.ai.openai",
    "azure_text": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "gemini": "gcp.gemini",
    "vertex_ai": "gcp.vertex_ai",
    "xai": "x_ai",
}


@dataclass(frozen=True, slots=True)
class GenAiNames:
    """The name of the attribute that says which provider was asked, and the providers' names."""

    attribute: str
    providers: Mapping[str, str]


DEFAULT_NAMES = GenAiNames("gen_ai.system", _SYSTEMS)
LATEST_NAMES = GenAiNames("gen_ai.provider.name", _LATEST)


@dataclass(frozen=True, slots=True)
class Span:
    """One span that has ended; times are Unix time. `is_client`: it is about a provider that was asked."""

    name: str
    place: Place
    parent_id: int
    began_ns: int
    ended_ns: int
    is_client: bool
    has_failed: bool
    attributes: dict[str, Value] = field(default_factory=dict)


def request_span(
    scope: Scope, trace: RequestTrace, answered: tuple[str, int, str], pseudonym: Callable[[str], str]
) -> Span:
    """The span of a request. `answered`: its id, the status of its answer, and the code of the gateway's own error."""
    request_id, status, refused = answered
    method = scope["method"] if scope["method"] in METHODS else "_OTHER"
    route = shown_route(scope)
    scheme = "https" if is_secure(scope) else "http"
    said: dict[str, Value] = {"http.request.method": method, "url.scheme": scheme}
    if route != "-":
        said["http.route"] = route
    if status:
        said["http.response.status_code"] = status
    said["scalix.request_id"] = request_id
    asked: Asked | None = scope.get(ASKED)
    error = refused
    if asked is not None:
        said["scalix.user"] = pseudonym(str(asked.caller.subject))
        if asked.caller.tier is not None:
            said["scalix.tier"] = asked.caller.tier.name
        if asked.exchange is not None:
            said |= _of_exchange(asked.exchange)
            error = error or (asked.exchange.ending.error or "" if asked.exchange.ending is not None else "")
    if refused:
        said["scalix.error.code"] = refused
    if error or status >= 500:
        said["error.type"] = str(error or status)
    place = trace.join()
    name = f"{method} {route}" if route != "-" else method
    return Span(name, place, trace.parent_id, trace.began_ns, time.time_ns(), False, status >= 500, said)


def _of_exchange(exchange: Exchange) -> dict[str, Value]:
    said: dict[str, Value] = {"scalix.model": exchange.admission.model}
    if exchange.ending is not None:
        said["scalix.outcome"] = str(exchange.ending.outcome)
    charge = exchange.charge
    if charge is not None and (charge.detail.cost_nano_usd or charge.detail.charge_nano_usd):
        said["scalix.provider_cost_usd"] = charge.detail.cost_nano_usd / NANO_USD_PER_USD
        said["scalix.cost_usd"] = said["scalix.provider_cost_usd"]  # the name of before
        said["scalix.charge_usd"] = charge.detail.charge_nano_usd / NANO_USD_PER_USD
    return said


def attempt_span(exchange: Exchange, trace: RequestTrace, tried: Tried, names: GenAiNames) -> Span:
    """The span of an attempt at a provider, with the engine's own retries in it."""
    attempt, admission = tried.attempt, exchange.admission
    name = attempt.model or attempt.served_model or admission.model
    model = admission.offer.models.get(name)
    served = (model.deployment(attempt.deployment_id) or model) if model is not None else None
    provider, asked_for = (served.provider, served.provider_model) if served is not None else ("", "")
    operation = _OPERATIONS.get(admission.route, "chat")
    asked_for = asked_for.removeprefix(f"{provider}/") or name
    said: dict[str, Value] = {"gen_ai.operation.name": operation, "gen_ai.request.model": asked_for}
    if provider:
        said[names.attribute] = names.providers.get(provider, provider)
    if tried.said.model:
        said["gen_ai.response.model"] = tried.said.model
    if tried.said.reasons:
        said["gen_ai.response.finish_reasons"] = tuple(tried.said.reasons)
    usage = with_stated(attempt.usage, attempt.seen.usage) or attempt.seen.usage
    if usage is not None:
        said["gen_ai.usage.input_tokens"] = usage.prompt_tokens
        said["gen_ai.usage.output_tokens"] = usage.completion_tokens
        if usage.cached_tokens:
            said["gen_ai.usage.cache_read.input_tokens"] = usage.cached_tokens
    said |= {"scalix.model": name, "scalix.engine": attempt.engine, "scalix.fallback": attempt.number - 1}
    if attempt.deployment_id:
        said["scalix.deployment"] = attempt.deployment_id
    if attempt is exchange.attempt and exchange.first_token_s is not None:
        said["gen_ai.response.time_to_first_chunk"] = round(exchange.first_token_s - tried.began_s, 6)
    if tried.error:
        said["error.type"] = tried.error
        if attempt.seen.error is not None:
            said["http.response.status_code"] = attempt.seen.error.status
    return Span(
        f"{operation} {asked_for}",
        tried.place,
        trace.join().span_id,
        tried.began_ns,
        tried.ended_ns or time.time_ns(),
        True,
        bool(tried.error),
        said,
    )
