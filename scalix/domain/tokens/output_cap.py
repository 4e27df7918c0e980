"""Reads how much output a request asks for, and writes the granted cap into it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.requests.routes import Route

FLOOR_TOKENS = 16  # with less than this left, the request is refused
MAX_CHOICES = 128  # OpenAI's limit for `n`
MAX_PROMPTS = 2_048  # OpenAI's limit for a list of inputs
MAX_TOKENS = 2**31 - 1  # larger caps mean "as much as possible"; this stays exact in Lua's numbers

_ALL_FIELDS = ("max_tokens", "max_completion_tokens", "max_output_tokens")
CAP_FIELDS = frozenset(_ALL_FIELDS)
# Budgets for thinking, which are part of the output cap: outer field, field.
_BUDGETS = (("thinking", "budget_tokens"), ("reasoning", "max_tokens"), ("reasoning", "budget_tokens"))
_WITH_BUDGET = frozenset({"thinking_budget", "thinking", "reasoning"})


@dataclass(frozen=True, slots=True)
class OutputRequest:
    """The output that a body asks for. Tokens are per choice.

    `field` is the client's name for the cap, or the route's usual one; `None` if there is no output (embeddings).
    `cap_tokens` is `None` if the client set no cap. The granted cap is written into all of `fields`. `choices` is how
    many answers may be generated and charged. If fewer than `min_tokens` can be granted, the request is refused.
    """

    field: str | None
    cap_tokens: int | None
    fields: tuple[str, ...]
    choices: int
    min_tokens: int


def output_request(route: Route, body: Mapping[str, Any]) -> OutputRequest:
    """The output that `body` asks for on `route`.

    Of several caps the smallest counts, and all are rewritten. A `null` counts as absent. Raises `BadRequest` with the
    field's name for a value that is no whole number in its range, for `best_of` below `n`, and for a cap that leaves
    nothing beside the thinking budget.
    """
    own = route.row.caps
    if not own:
        return OutputRequest(field=None, cap_tokens=0, fields=(), choices=1, min_tokens=0)
    asked = {name: tokens for name in _ALL_FIELDS if (tokens := _whole(body, name, 1)) is not None}
    # A name of another route counts too, and is rewritten beside one that this route's providers surely know.
    fields = tuple(name for name in own if name in asked) or own[:1]
    fields += tuple(name for name in asked if name not in own)
    field = next((name for name in (*own, *asked) if name in asked), own[0])
    cap = min(asked.values(), default=None)
    budget, budget_name = _thinking_budget(body)
    if cap is not None and budget >= cap:
        raise BadRequest(f"`{field}` ({cap}) must be greater than `{budget_name}` ({budget}): raise it", field)
    least = max(FLOOR_TOKENS, budget + 1)
    return OutputRequest(
        field=field,
        cap_tokens=cap,
        fields=fields,
        choices=_choices(body) * (_prompts(body) if route is Route.COMPLETIONS else 1),
        min_tokens=least if cap is None else min(least, cap),
    )


def with_cap(body: dict[str, Any], request: OutputRequest, cap_tokens: int) -> None:
    """Write the granted `cap_tokens` (per choice) into `body`, in place."""
    for name in request.fields:
        body[name] = cap_tokens


def _choices(body: Mapping[str, Any]) -> int:
    n = _whole(body, "n", 1, MAX_CHOICES)
    best_of = _whole(body, "best_of", 1, MAX_CHOICES)
    if best_of is not None and best_of < (n or 1):
        raise BadRequest(f"`best_of` ({best_of}) must be at least `n` ({n})", "best_of")
    return max(n or 1, best_of or 1)


def _prompts(body: Mapping[str, Any]) -> int:
    prompt = body.get("prompt")
    if isinstance(prompt, list) and prompt and isinstance(prompt[0], str | list):
        if len(prompt) > MAX_PROMPTS:
            raise BadRequest(f"`prompt` may hold at most {MAX_PROMPTS} prompts, not {len(prompt)}", "prompt")
        return len(prompt)
    return 1


def _thinking_budget(body: Mapping[str, Any]) -> tuple[int, str]:
    """The largest thinking budget in tokens (0 if there is none) and the name of its field."""
    if _WITH_BUDGET.isdisjoint(body):
        return 0, ""
    found = (_whole(body, "thinking_budget", 0) or 0, "thinking_budget")
    for outer, name in _BUDGETS:
        options = body.get(outer)
        if isinstance(options, Mapping) and options.get("type") != "disabled":
            found = max(found, (_whole(options, name, 0, prefix=f"{outer}.") or 0, f"{outer}.{name}"))
    return found


def _whole(values: Mapping[str, Any], name: str, least: int, most: int | None = None, prefix: str = "") -> int | None:
    """The whole number under `name`, cut to `MAX_TOKENS`; `None` if it is absent or null."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < least or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise BadRequest(f"`{prefix}{name}` must be a whole number {bounds}", f"{prefix}{name}")
    return min(value, MAX_TOKENS)
