"""Reads the operator's config: our policy, and what LiteLLM is to read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from scalix.domain.identity.identity import IdentitySettings
from scalix.domain.policy import Model, Policy
from scalix.launch.config.config_names import name_problems
from scalix.launch.config.config_schema import ConfigFile
from scalix.launch.config.deployments import (
    DEMO_URL_VARIABLE,
    Rendered,
    lack,
    lent_key,
    priority_notes,
    render_deployments,
)
from scalix.launch.config.gateway_settings import with_gateway_settings
from scalix.launch.config.identity_builder import build_identity
from scalix.launch.config.included import load_config
from scalix.launch.config.kinds_of_models import Kinds
from scalix.launch.config.models_in_service import build_models
from scalix.launch.config.policy_builder import build_policy
from scalix.launch.config.price_checks import price_problems, unpriced
from scalix.launch.config.references import References
from scalix.launch.config.schema_errors import dotted, problems_of
from scalix.launch.config.shipped_tiers import complete_tiers
from scalix.launch.config.wildcards import has_address, serves_any_name
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.litellm.judging import judge
from scalix.launch.litellm.taken import take_rest
from scalix.launch.litellm.told import Told
from scalix.launch.litellm.translating import take_variables, translate
from scalix.launch.problems import LaunchError, Problem, shown_path

OUR_SECTION = "scalix"
Steps = tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """What one config file gives. `policy` and `litellm` hold the models in service only.

    `litellm` is LiteLLM's config, with `os.environ/NAME` in place of every secret. `left_out` names each public model
    that can't be served and the variable it lacks; `warnings` and `translated` (what holds in another way than in
    LiteLLM) are whole lines for the operator. `referred` are the variables that the file refers to; `variables` those
    that it sets for the workers, and the secrets that stand in it.
    """

    policy: Policy
    litellm: Mapping[str, Any]
    left_out: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    identity: IdentitySettings
    referred: frozenset[str] = frozenset()
    translated: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def provider_keys_present(self) -> bool:
        """Whether any model is in service."""
        return bool(self.policy.models)


def provider_keys_present(path: Path, values: Mapping[str, str]) -> bool:
    """Whether any model of the file could be served without the demo provider. Raises `LaunchError` as
    `read_config` does."""
    return read_config(path, values, demo=False, production=False).provider_keys_present


def read_config(
    path: Path, values: Mapping[str, str], *, demo: bool = False, production: bool = False
) -> GatewayConfig:
    """The config in `path` against the variables in `values`.

    With `demo` every model is in service, at the demo provider. Raises `LaunchError` with all problems of the file,
    each with its line; in production also when no model can be served.
    """
    problems: list[Problem] = []
    source = load_config(path, problems)
    notes = complete_tiers(source, problems)
    told, warnings = Told(), list[Problem]()
    # What is taken out as without effect may be a secret all the same.
    _translated(source, References(source, values, problems, production=production, warnings=warnings))
    variables = take_variables(source, values, told)
    taken = take_rest(source, told, problems)
    translate(source, values, told, problems)
    judge(source, told, problems)
    declared = _validated(source, problems)
    references = References(source, values, problems, production=production, warnings=warnings)
    litellm = _translated(source, references)
    litellm = with_gateway_settings(litellm, source)
    problems += name_problems(source)
    problems += price_problems(source)
    if declared is None:
        _scan_models(source, references)
        raise LaunchError(_in_order(problems))
    identity = build_identity(declared.scalix, source, values, problems)
    rendered = render_deployments(source.data["model_list"], declared.model_list, references, values, demo=demo)

    kinds = Kinds(source, declared, litellm, values, demo=demo)
    rendered = kinds.offered(rendered)
    in_service = [deployment for deployment in rendered if not deployment.missing]
    models, wildcards = build_models(in_service, declared, values, demo=demo, production=production)
    left_out = _left_out(rendered, models)
    if production and not models:
        lacking = ", ".join(dict.fromkeys(variable for _, variable in left_out))
        fix = f"set one of {lacking}" if lacking else "set the key of a provider that the config names"
        problems.append(Problem(shown_path(path), "no model can be served", fix))
    listed = {
        name: model for name, model in {**models, **wildcards}.items() if name in {item.name for item in rendered}
    }
    without_price = list(unpriced(listed, kinds.embeddings, source))
    if production:
        problems += without_price
    if problems:
        raise LaunchError(_in_order(problems))

    litellm = {"model_list": [deployment.entry for deployment in in_service], **litellm}
    return GatewayConfig(
        policy=build_policy(declared.scalix, models, wildcards, taken),
        litellm=_without_decimals(litellm),
        left_out=left_out,
        warnings=(
            *notes,
            *told.without_effect,
            *kinds.told,
            *map(str, _in_order(warnings)),
            *_warnings(rendered, models, references, source, values),
            *map(str, without_price),
        ),
        identity=identity,
        referred=frozenset(references.names),
        translated=tuple(told.translated),
        variables={**variables, **references.plain},
    )


def _translated(source: YamlSource, references: References) -> dict[str, Any]:
    """LiteLLM's sections, without its models."""
    return {
        key: references.translated(section, (key,))
        for key, section in source.data.items()
        if key not in (OUR_SECTION, "model_list")
    }


def _validated(source: YamlSource, problems: list[Problem]) -> ConfigFile | None:
    """The file as pydantic models, or `None` with what is wrong added to `problems`."""
    empty = list(_empty(source.data.get(OUR_SECTION, {}), (OUR_SECTION,)))
    for steps in empty:
        problems.append(Problem(source.where(steps), f"{dotted(steps)} has no value", "give it one, or remove the key"))
    data = {key: value for key, value in source.data.items() if value is not None}
    if OUR_SECTION in data:
        data[OUR_SECTION] = _without_empty(data[OUR_SECTION])
    try:
        return ConfigFile.model_validate(data)
    except ValidationError as error:
        problems += problems_of(error, source, skip=[*empty, *(steps[:-1] for steps in empty)])
        return None


def _empty(value: Any, steps: Steps) -> Iterable[Steps]:
    if value is None:
        yield steps
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _empty(item, (*steps, key))


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_empty(item) for key, item in value.items() if item is not None}
    return value


def _scan_models(source: YamlSource, references: References) -> None:
    """The secrets and broken references among models that are not well-formed, so that they are reported too."""
    models = source.data.get("model_list")
    if isinstance(models, list):
        references.translated(models, ("model_list",))


def _left_out(rendered: list[Rendered], models: Mapping[str, Model]) -> tuple[tuple[str, str], ...]:
    lacking = [(item.name, item.missing[0]) for item in rendered if item.missing and item.name not in models]
    return tuple(dict(reversed(lacking)).items())[::-1]


def _warnings(
    rendered: list[Rendered],
    models: Mapping[str, Model],
    references: References,
    source: YamlSource,
    values: Mapping[str, str],
) -> Iterable[str]:
    for item in rendered:
        if item.missing and item.name in models:
            why = lack(item.missing[0], values)
            yield f"{item.name}: one of its deployments ({item.provider_model}) is left out: {why}"
    declared = {item.name for item in rendered}
    for asked, chain in source.data[OUR_SECTION].get("fallbacks", {}).items():
        if asked in models:
            for name in chain:
                if name not in models and name not in declared:
                    yield f"the fallback {name} of {asked} is passed over: no wildcard in service knows such a model"
    for item in rendered:
        if (variable := lent_key(item.entry["litellm_params"], values)) is not None:
            what = f"has an api_base and no api_key, so {variable} is sent there"
            yield f"{item.name}: {what}; write api_key: none, or ${{{variable}}} where that is meant"
        if "*" in item.name and has_address(item.declared) and not serves_any_name(item.declared):
            what = "serves the names that LiteLLM's map knows, and no other: any name would choose its own provider"
            yield f"{item.name}: {what}; write model: openai/* for a server that speaks OpenAI's format"
    if not models:
        is_key = any(item.missing for item in rendered) or not source.data["model_list"]
        what = "set a provider's key" if is_key else "the lines above say why; mend that"
        yield f"no model is in service: {what}, or start with --demo"
    yield from priority_notes(source.data["model_list"])
    for steps, names in references.missing.items():
        if steps[0] != "model_list" and DEMO_URL_VARIABLE not in names and steps[-1] != "master_key":
            yield f"{source.where(steps)}: {dotted(steps)} refers to {names[0]}, which is not set"


def _in_order(problems: list[Problem]) -> list[Problem]:
    """By line, and each once."""

    def line(problem: Problem) -> int:
        number = problem.where.rpartition(":")[2]
        return int(number) if number.isdigit() else 0

    return sorted(dict.fromkeys(problems), key=line)


def _without_decimals(value: Any) -> Any:
    """LiteLLM computes with binary fractions; our own prices and amounts are whole numbers in the policy."""
    if isinstance(value, Mapping):
        return {key: _without_decimals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_decimals(item) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else float(value)
