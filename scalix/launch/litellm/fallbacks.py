"""Turns LiteLLM's four kinds of fallbacks into `scalix.fallbacks`, where each model's tier, budget and price hold."""

from collections.abc import Iterator
from typing import Any

from scalix.launch.config.findings import Findings
from scalix.launch.config.name_checks import is_named, model_names
from scalix.launch.config.yaml_source import Step
from scalix.launch.problems import nearest

Steps = tuple[Step, ...]
KINDS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
DEFAULT = "default_fallbacks"
SECTIONS = ("router_settings", "litellm_settings")
_MOST_SHOWN = 5


def take_fallbacks(findings: Findings) -> None:
    """Move the fallbacks into our section of the file. A model that has a list there keeps it."""
    models = model_names(findings.source)
    chains: dict[str, list[str]] = {}
    places = dict[Step, Steps]()
    for steps, asked, targets in _written(findings):
        places.setdefault(steps[1], steps)
        unknown = [name for name in (asked, *targets) if models and not is_named(name, models) and name != "*"]
        for name in dict.fromkeys(unknown):
            guess = nearest(name, models)
            what = f"the fallback {name} is passed over, as model_list does not have it"
            findings.passed_over(steps, f"{what}; write {guess}" if guess else what)
        for model in models if asked == "*" else [asked]:
            if is_named(model, models):
                named = (name for name in targets if is_named(name, models) and name != model)
                chains.setdefault(model, []).extend(named)
    section = findings.source.data.setdefault("scalix", {})
    ours = (section.get("fallbacks") or {}) if isinstance(section, dict) else None
    if not places or not isinstance(ours, dict):
        return
    first = next(iter(places.values()))
    taken = {model: list(dict.fromkeys(chain)) for model, chain in chains.items() if chain and model not in ours}
    section["fallbacks"] = {**taken, **ours}
    if kept := [model for model in chains if model in ours]:
        findings.passed_over(first, f"without effect for {', '.join(kept)}: scalix.fallbacks has a list")
    if taken:
        listed = "; ".join(f"{model} -> {', '.join(chain)}" for model, chain in list(taken.items())[:_MOST_SHOWN])
        more = f" and {len(taken) - _MOST_SHOWN} more" if len(taken) > _MOST_SHOWN else ""
        kinds = ", ".join(map(str, places))
        findings.becomes(first, f"{kinds}: now scalix.fallbacks, whatever a failure's cause: {listed}{more}")


def _written(findings: Findings) -> Iterator[tuple[Steps, str, list[str]]]:
    """Yield the place of each list of fallbacks, its model and its fallbacks, in the order of trying: default
    ones last."""
    taken = {steps: findings.source.take(*steps) for steps in ((s, k) for s in SECTIONS for k in (*KINDS, DEFAULT))}
    for kind in KINDS:
        for section in SECTIONS:
            value = taken[section, kind]
            for index, item in enumerate(value if isinstance(value, list) else []):
                if isinstance(item, str):  # for whichever model fails
                    yield (section, kind, index), "*", [item]
                elif isinstance(item, dict):
                    for asked, targets in item.items():
                        yield (section, kind, index, asked), str(asked), _names(targets)
                else:
                    _complain(findings, section, kind, index)
            if value is not None and not isinstance(value, list):
                _complain(findings, section, kind)
    for section in SECTIONS:
        value = taken[section, DEFAULT]
        if isinstance(value, list | str) and value:
            yield (section, DEFAULT), "*", _names(value)


def _complain(findings: Findings, section: str, kind: str, *index: int) -> None:
    what = f"{section}.{kind} is not a list of models with fallbacks"
    findings.wrong((section, kind, *index), what, "write [{gpt-4: [claude-3-opus]}]")


def _names(value: Any) -> list[str]:
    """Return the names of models in a list of fallbacks. LiteLLM allows whole deployments there too."""
    items = value if isinstance(value, list) else [value]
    names = [item.get("model") if isinstance(item, dict) else item for item in items]
    return [name for name in names if isinstance(name, str)]
