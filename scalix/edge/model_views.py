"""How the models that a caller may use are told: in OpenAI's, Anthropic's and LiteLLM's shapes.

Of who serves them, and at what price, callers are told nothing; operators, which engine.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Annotated, Any

from scalix.domain.deployments import Deployment
from scalix.domain.health_checks import Checked
from scalix.domain.limits.calendar import rfc3339
from scalix.domain.policy import Model
from scalix.service.described import Fields, Json

_BEGAN = "1970-01-01T00:00:00Z"

OpenAIs = Annotated[Json, Fields({str: "id object owned_by", int: "created"})]
Anthropics = Annotated[Json, Fields({str: "type id display_name created_at"})]
ListOfOpenAIs = Annotated[Json, Fields({str: "object", list[OpenAIs]: "data"})]
ListOfAnthropics = Annotated[Json, Fields({list[Anthropics]: "data", bool: "has_more", str | None: "first_id last_id"})]
_TOKENS = "max_tokens max_input_tokens max_output_tokens"
_FACTS = Fields({str: "mode", int | None: _TOKENS, bool | None: "supports_reasoning"})
_INFO = Annotated[Json, Fields(_FACTS, {str: "id key", bool: "db_model"})]
_LITELLMS = Fields({str: "model_name", dict[str, str]: "litellm_params", _INFO: "model_info"})
LiteLLMs = Annotated[Json, Fields({list[Annotated[Json, _LITELLMS]]: "data"})]
_GROUP = Annotated[Json, Fields(_FACTS, {str: "model_group", list[str]: "providers"})]
LiteLLMsGroups = Annotated[Json, Fields({list[_GROUP]: "data"})]


def openais(name: str) -> OpenAIs:
    """One entry of OpenAI's `GET /v1/models`."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "scalix"}


def anthropics(name: str) -> Anthropics:
    """One entry of Anthropic's: https://docs.anthropic.com/en/api/models-list."""
    return {"type": "model", "id": name, "display_name": name, "created_at": _BEGAN}


def listed(names: Sequence[str], *, anthropic: bool) -> ListOfOpenAIs | ListOfAnthropics:
    """All of them, which are never so many that a page would not hold them."""
    if not anthropic:
        return {"object": "list", "data": [openais(name) for name in names]}
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return {"data": [anthropics(name) for name in names], "has_more": False, **ends}


def litellms(model: Model) -> dict[str, Any]:
    """One entry of LiteLLM's `GET /model/info`."""
    info = {"id": model.name, "db_model": False, "key": model.name, **_facts(model)}
    return {"model_name": model.name, "litellm_params": {"model": model.name}, "model_info": info}


def litellms_group(model: Model) -> dict[str, Any]:
    """One entry of LiteLLM's `GET /model_group/info`."""
    return {"model_group": model.name, "providers": ["scalix"], **_facts(model)}


@dataclass(frozen=True, slots=True)
class Health:
    """What the last health check has found: whether the deployment answers, when that was (RFC 3339), and why not."""

    answers: bool
    checked_at: str
    reason: str


@dataclass(frozen=True, slots=True)
class Served:
    """How a model, or one of its several deployments, is served: by which engine, on which routes directly, and why;
    what its last health check has found, where any was made, and how many seconds it rests yet after failures."""

    model: str
    deployment: str | None
    engine: str
    direct_routes: list[str]
    reason: str
    health: Health | None
    rests_s: int


@dataclass(frozen=True, slots=True)
class Engines:
    """The engines of all models and wildcards of the config."""

    data: list[Served]


def engines(models: Iterable[Model], checked: Mapping[str, Checked], rests_s: Callable[[str], float]) -> Engines:
    """The operator's list. `checked` are the last health checks by deployment, or model; `rests_s` says of one how long
    it rests yet."""
    ways = ((model, way) for model in models for way in model.ways)
    return Engines([_served(model, way, checked.get(way.id), rests_s(way.id)) for model, way in ways])


def _served(model: Model, way: Deployment | Model, last: Checked | None, rests_s: float) -> Served:
    engine, ident = way.engine, way.id if model.deployments else None
    paths = sorted(f"/v1{route.row.path}" for route in engine.direct)
    health = health_of(last) if last is not None else None
    return Served(model.name, ident, engine.name, paths, engine.reason, health, ceil(rests_s))


def health_of(last: Checked) -> Health:
    """A check as operators see it."""
    return Health(not last.is_failing, rfc3339(last.at_ms), last.reason)


def _facts(model: Model) -> dict[str, Any]:
    return {
        "mode": model.mode or "chat",
        "max_tokens": model.max_output_tokens,
        "max_input_tokens": model.max_input_tokens,
        "max_output_tokens": model.max_output_tokens,
        "supports_reasoning": model.thinks,
    }
