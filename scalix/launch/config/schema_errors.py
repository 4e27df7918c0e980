"""Turns what pydantic says into one line for the operator: where, what is wrong, what to write instead."""

from collections.abc import Iterable
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scalix.launch.config.config_schema import ConfigFile
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.problems import Problem, nearest, one_of, shown_path

_TYPES = {
    "string_type": "is not text",
    "list_type": "is not a list",
    "dict_type": "is not a set of 'key: value' pairs",
    "model_type": "is not a set of 'key: value' pairs",
    "bool_type": "is neither true nor false",
    "string_too_short": "is empty",
    "too_short": "is empty",
    "string_pattern_mismatch": "is not a plain name",
    "invalid_key": "is not text",
}
_FIXES = {
    "string_type": "put it into quotes",
    "invalid_key": "put it into quotes",
    "list_type": "write [first, second]",
    "bool_type": "write true or false",
    "string_pattern_mismatch": "use up to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit",
}
_EXAMPLES = {
    "default_tier": "default_tier: free",
    "tiers": "tiers: with one entry for each tier",
    "models": 'models: [free-*], or ["*"] for all',
    "limit": "limit: 100",
    "model_list": "model_list: with one entry for each model",
    "model_name": "model_name: with the name that clients use",
    "litellm_params": "litellm_params: with model, api_key and so on",
    "model": "model: with the provider and its name for the model, such as openai/gpt-4.1",
    "issuers": "issuers: with one entry for each issuer of tokens",
    "issuer": "issuer: with the text that its tokens carry as iss",
    "audience": "audience: with the text that its tokens for this gateway carry as aud",
    "tier": "tier: with the name of one of the tiers",
    "scalix": "scalix: with default_tier and tiers, as in the litellm_proxy_config.yaml that is delivered",
}


def problems_of(error: ValidationError, source: YamlSource, skip: Iterable[tuple[Step, ...]]) -> list[Problem]:
    """One problem per error, in the order of the file. Places in `skip` have been reported already."""
    skipped = set(skip)
    found = [(item["loc"], _problem(item, source)) for item in error.errors(include_url=False)]
    return [problem for place, problem in found if place not in skipped]


def _problem(item: ErrorDetails, source: YamlSource) -> Problem:
    kind = item["type"]
    place = tuple(step for step in item["loc"] if step != "[key]")
    where = source.where(place)
    name = str(place[-1]) if place else shown_path(source.path)
    if kind == "extra_forbidden":
        known = _known_keys(place)
        guess = nearest(name, known)
        fix = f"write '{guess}'" if guess else f"write {one_of(known)}"
        return Problem(where, f"unknown key '{name}' in {dotted(place[:-1])}", fix)
    if kind == "missing":
        inside = f" in {dotted(place[:-1])}" if len(place) > 1 else ""
        meant = nearest(name, filter(_is_text, source.data)) if len(place) == 1 else None
        if meant is not None and meant not in ConfigFile.model_fields:
            return Problem(source.where((meant,)), f"unknown section '{meant}'", f"write '{name}'")
        return Problem(where, f"'{name}' is missing{inside}", f"add {_EXAMPLES.get(name, name + ':')}")
    if kind == "scalix":
        context: dict[str, Any] = item.get("ctx", {})
        return Problem(where, f"{dotted(place)} {context['what']}", context["fix"])
    if kind == "literal_error":
        expected = str(item.get("ctx", {}).get("expected", "")).replace("'", "")
        return Problem(where, f"{dotted(place)} is not one of the words for it", f"write {expected}")
    what = _TYPES.get(kind, item["msg"])
    return Problem(where, f"{dotted(place)} {what}", _FIXES.get(kind, f"write {_EXAMPLES.get(name, 'key: value')}"))


def dotted(place: Iterable[Step]) -> str:
    """`scalix.tiers.free` for messages; the number that a limit was written as has no name of its own."""
    steps = list(place)
    if len(steps) > 1 and steps[-1] == "limit":
        steps.pop()
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".") or "the file"


def _known_keys(place: tuple[Step, ...]) -> list[str]:
    """The keys that may stand beside the unknown one at `place`, which is below `scalix`."""
    kind: Any = ConfigFile
    for step in place[:-1]:
        # Of a list or a dictionary every item has the same shape; of a section, each key its own.
        within = kind.model_fields[str(step)].annotation if _is_section(kind) else get_args(kind)[-1]
        kind = _holder(within)
    return sorted(kind.model_fields) if _is_section(kind) else []


def _holder(kind: Any) -> Any:
    """The section, list or dictionary that an annotation holds, such as `TierSection` of `TierSection | None`."""
    if _is_section(kind) or get_origin(kind) in (list, dict):
        return kind
    return next((found for part in get_args(kind) if (found := _holder(part)) is not None), None)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _is_text(key: Any) -> bool:
    return isinstance(key, str)
