"""LiteLLM's four kinds of fallbacks as `scalix.fallbacks`, under which each model's tier, budget and price hold."""

from collections.abc import Iterator
from typing import Any

from scalix.launch.config.config_names import is_named
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.litellm.told import Told
from scalix.launch.problems import Problem, nearest

Steps = tuple[Step, ...]
KINDS = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")
DEFAULT = "default_fallbacks"
SECTIONS = ("router_settings", "litellm_settings")


def take_fallbacks(source: YamlSource, told: Told, problems: list[Problem]) -> None:
    """Move them into our section of `source.data`. A model that has a list of ours keeps it."""
    models = model_names(source.data)
    chains: dict[str, list[str]] = {}
    first: str | None = None
    kinds: dict[Step, None] = {}
    for steps, asked, targets in _written(source, problems):
        first = first or source.where(steps)
        kinds[steps[1]] = None
        unknown = [name for name in (asked, *targets) if models and not is_named(name, models) and name != "*"]
        for name in dict.fromkeys(unknown):
            guess = nearest(name, models)
            told.without_effect.append(
                f"{source.where(steps)}: the fallback {name} is passed over, as model_list does not have it"
                + (f"; write {guess}" if guess else "")
            )
        for model in models if asked == "*" else [asked]:
            if is_named(model, models):
                named = (name for name in targets if is_named(name, models) and name != model)
                chains.setdefault(model, []).extend(named)
    section = source.data.setdefault("scalix", {})
    ours = section.get("fallbacks") if isinstance(section, dict) else None
    if first is None or not isinstance(section, dict) or not isinstance(ours or {}, dict):
        return
    taken = {
        model: list(dict.fromkeys(chain)) for model, chain in chains.items() if chain and model not in (ours or {})
    }
    section["fallbacks"] = {**taken, **(ours or {})}
    if kept := [model for model in chains if model in (ours or {})]:
        told.without_effect.append(f"{first}: without effect for {', '.join(kept)}: scalix.fallbacks has a list")
    if taken:
        listed = "; ".join(f"{model} -> {', '.join(chain)}" for model, chain in list(taken.items())[:5])
        more = f" and {len(taken) - 5} more" if len(taken) > 5 else ""
        told.translated.append(
            f"{first}: {', '.join(map(str, kinds))}: now scalix.fallbacks, whatever a failure's cause: {listed}{more}"
        )


def _written(source: YamlSource, problems: list[Problem]) -> Iterator[tuple[Steps, str, list[str]]]:
    """Each model with its fallbacks, in the order in which they are to be tried: the default ones last."""
    taken = {(section, kind): _take(source.data, section, kind) for section in SECTIONS for kind in (*KINDS, DEFAULT)}
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
                    _complain(source, (section, kind, index), problems)
            if value is not None and not isinstance(value, list):
                _complain(source, (section, kind), problems)
    for section in SECTIONS:
        value = taken[section, DEFAULT]
        if isinstance(value, list | str) and value:
            yield (section, DEFAULT), "*", _names(value)


def _complain(source: YamlSource, steps: Steps, problems: list[Problem]) -> None:
    what = f"{'.'.join(str(step) for step in steps if isinstance(step, str))} is not a list of models with fallbacks"
    problems.append(Problem(source.where(steps), what, "write [{gpt-4: [claude-3-opus]}]"))


def _names(value: Any) -> list[str]:
    """Names of models; LiteLLM takes whole deployments too, of which the name counts."""
    items = value if isinstance(value, list) else [value]
    names = [item.get("model") if isinstance(item, dict) else item for item in items]
    return [name for name in names if isinstance(name, str)]


def _take(data: dict[str, Any], section: str, name: str) -> Any:
    settings = data.get(section)
    return settings.pop(name, None) if isinstance(settings, dict) else None


def model_names(data: dict[str, Any]) -> list[str]:
    """The public names in `model_list`, each once."""
    models = data.get("model_list")
    names = [item.get("model_name") for item in models if isinstance(item, dict)] if isinstance(models, list) else []
    return list(dict.fromkeys(name for name in names if isinstance(name, str)))
