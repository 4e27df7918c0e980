"""What of a request a model can't be told: hints are left out and named, what would change the answer is refused."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.requests.routes import Route

CAPS = ("max_tokens", "max_completion_tokens")
# Read by so many providers, under this name, that it is passed to all.
_KNOWN_TO_MOST = "top_k"


@dataclass(frozen=True, slots=True)
class Known:
    """What a model can be told on a route, all but `unknown` and `left_out`, which the operator has it spared.

    `extras`: its server reads fields beside those of its API. `drops`: the operator has said that what it does not
    know may be left out. `cap`: the name of the output cap that it knows; `None`: any; the empty text: none.
    """

    unknown: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    extras: bool = True
    drops: bool = False
    cap: str | None = None


EVERYTHING = Known()
KnownFields = Callable[[str, Route], Known]
"""What a model, by its public name, can be told on a route."""


@dataclass(slots=True)
class Told:
    """A request as one model is told it, and the names of what was left out for that."""

    body: dict[str, Any]
    dropped: list[str] = field(default_factory=list)


# What says no more than what holds without it.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    **dict.fromkeys(("presence_penalty", "frequency_penalty", "top_logprobs"), (0,)),
    **dict.fromkeys(("temperature", "top_p", "n"), (1,)),
    **dict.fromkeys(("tools", "functions", "mcp_servers", "stop_sequences"), ([],)),
    **dict.fromkeys(("tool_choice", "function_call"), ("auto", "none", {"type": "auto"}, {"type": "none"})),
    "logit_bias": ({},),
    "logprobs": (False, 0),
    "modalities": (["text"], []),
    "parallel_tool_calls": (True,),
    "stop": ("", []),
    "response_format": ({"type": "text"},),
}
# How much is thought and said, what is kept and cached, for whom and how fast: a model answers as well without.
HINTS = frozenset(
    {
        *("seed", "verbosity", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "reasoning_effort"),
        *("reasoning", "thinking", "include", "truncation", "prediction", "context_management", "cache_control"),
        *("store", "service_tier", "encoding_format", "user"),
    }
)


def unknown_fields(route: Route, params: Collection[str], *, translated: bool) -> frozenset[str]:
    """The settings of a route that a model does not know whose parameters are `params`: those of chat completions if
    requests are `translated` into these, else the route's own."""
    return frozenset(
        name
        for name, into in route.row.translated.items()
        if not (name in params if not translated else any(param in params for param in into))
    )


def refusal_of_unknown(model: str, body: Mapping[str, Any], known: Known) -> BadRequest | None:
    """The error for a request that `model` can't be asked without changing its answer; `None` if it can."""
    if known.cap == "":
        message = f"Nothing bounds an answer of '{model}' on this route, so it is not asked. Use another model."
        return BadRequest(message, param="model")
    if known.drops:
        return None
    for name in sorted(known.unknown.intersection(body) - known.left_out):
        if not _is_spare(name, body[name]):
            message = (
                f"'{model}' does not know '{name}', and would give another answer without it. Leave it out, or use "
                "another model."
            )
            return BadRequest(message, param=name)
    return None


def told(body: Mapping[str, Any], known: Known, extras: Collection[str] = ()) -> Told:
    """A request as a model is told it. `extras` are its fields that are not of the route's API. The output cap stays,
    under a name that the model knows."""
    given = dict(body)
    dropped = sorted((known.unknown | known.left_out).intersection(given))
    beside = [name for name in extras if name in given]
    if known.extras and beside:
        # Where LiteLLM passes them on whatever their names are.
        given["extra_body"] = {name: given.pop(name) for name in beside}
    else:
        dropped += sorted(name for name in beside if name != _KNOWN_TO_MOST)
    for name in dropped:
        del given[name]
    if "user" in dropped:
        dropped.remove("user")  # it has told us whom to charge
    if known.cap:
        caps = [given.pop(name) for name in CAPS if name in given]
        if caps:
            given[known.cap] = min(caps)
    return Told(given, dropped)


def _is_spare(name: str, value: Any) -> bool:
    if name in HINTS or value in NEUTRAL.get(name, ()):
        return True
    # Responses say in one field how long an answer may be and in which form.
    return name == "text" and (not isinstance(value, dict) or value.get("format") in (None, {"type": "text"}))
