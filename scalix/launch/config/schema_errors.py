"""Validates the file against its schema, and turns each of pydantic's errors into one line for the operator."""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from scalix.launch.config.config_schema import ConfigFile
from scalix.launch.config.findings import Findings
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.problems import Problem, nearest, one_of, shown_path

# What is said of each of pydantic's types of errors, and the fix; without one, the key's example is the fix.
_TYPES = {
    **dict.fromkeys(("string_type", "invalid_key"), ("is not text", "put it into quotes")),
    **dict.fromkeys(("list_type", "tuple_type", "frozen_set_type"), ("is not a list", "write [first, second]")),
    **dict.fromkeys(("dict_type", "model_type"), ("is not a set of 'key: value' pairs", "")),
    **dict.fromkeys(("string_too_short", "too_short"), ("is empty", "")),
    "bool_type": ("is neither true nor false", "write true or false"),
    "string_pattern_mismatch": (
        "is not a plain name",
        "use up to 64 letters, digits, '-', '_' and '.', beginning with a letter or digit",
    ),
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


def validated(findings: Findings) -> ConfigFile | None:
    """Return the file as pydantic models; `None` if something is wrong, which is added to `findings`."""
    source, empty = findings.source, dict[tuple[Step, ...], None]()
    ours = {key: section for key, section in source.data.items() if key == "scalix"}
    data = {key: value for key, value in source.data.items() if value is not None} | _filled(ours, (), empty)
    for steps in empty:
        findings.wrong(steps, f"{dotted(steps)} has no value", "give it one, or remove the key")
    try:
        return ConfigFile.model_validate(data)
    except ValidationError as error:
        # A section whose only key has no value is said to be wrong itself.
        reported = {*empty, *(steps[:-1] for steps in empty)}
        errors = error.errors(include_url=False)
        findings.problems.extend(_problem(item, source) for item in errors if item["loc"] not in reported)
        return None


def _filled(value: Any, steps: tuple[Step, ...], empty: dict[tuple[Step, ...], None]) -> Any:
    """Return a value without the keys that have none, whose places are added to `empty`."""
    if not isinstance(value, dict):
        return value
    empty.update(((*steps, key), None) for key, item in value.items() if item is None)
    return {key: _filled(item, (*steps, key), empty) for key, item in value.items() if item is not None}


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
        meant = nearest(name, source.names()) if len(place) == 1 else None
        if meant is not None and meant not in ConfigFile.model_fields:
            return Problem(source.where((meant,)), f"unknown section '{meant}'", f"write '{name}'")
        return Problem(where, f"'{name}' is missing{inside}", f"add {_EXAMPLES.get(name, name + ':')}")
    if kind == "scalix":
        context: dict[str, Any] = item.get("ctx", {})
        return Problem(where, f"{dotted(place)} {context['what']}", context["fix"])
    if kind == "literal_error":
        expected = str(item.get("ctx", {}).get("expected", "")).replace("'", "")
        return Problem(where, f"{dotted(place)} is not one of the words for it", f"write {expected}")
    what, fix = _TYPES.get(kind, (item["msg"], ""))
    return Problem(where, f"{dotted(place)} {what}", fix or f"write {_EXAMPLES.get(name, 'key: value')}")


def dotted(place: Iterable[Step]) -> str:
    """Return a place as messages show it, such as `scalix.tiers.free`. The number of a limit has no name of its
    own."""
    steps = list(place)
    if len(steps) > 1 and steps[-1] == "limit":
        steps.pop()
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".") or "the file"


def _known_keys(place: tuple[Step, ...]) -> list[str]:
    """Return the keys that are allowed beside the unknown one at `place`."""
    kind: Any = ConfigFile
    for step in place[:-1]:
        # Of a list or a dictionary every item has the same shape; of a section, each key its own.
        kind = _holder(_members(kind)[str(step)] if _is_section(kind) else get_args(kind)[-1])
    return sorted(_members(kind)) if _is_section(kind) else []


def _members(section: Any) -> dict[str, Any]:
    """Return the types of a section's values by key."""
    if is_dataclass(section):
        return {field.name: field.type for field in fields(section)}
    return {field.alias or name: field.annotation for name, field in section.model_fields.items()}


def _holder(kind: Any) -> Any:
    """Return the section, list or dictionary inside an annotation, such as `TierSection` of `TierSection | None`."""
    if _is_section(kind) or get_origin(kind) in (list, dict):
        return kind
    return next((found for part in get_args(kind) if (found := _holder(part)) is not None), None)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and (issubclass(kind, BaseModel) or is_dataclass(kind))
