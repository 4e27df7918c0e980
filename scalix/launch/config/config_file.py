"""Reads the operator's config, and makes of it the gateway's policy and the config that LiteLLM reads."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from scalix.domain.identity.identity import IdentitySettings
from scalix.domain.policy import Model, Policy
from scalix.launch.config.custom_routers import take_custom_routers
from scalix.launch.config.deployments import (
    DEMO_URL_VARIABLE,
    Rendered,
    deployment_notes,
    priority_notes,
    render_deployments,
)
from scalix.launch.config.engine_choice import EngineChoice
from scalix.launch.config.findings import Findings
from scalix.launch.config.gateway_settings import with_gateway_settings
from scalix.launch.config.health_checks import health_checks, take_health_checks
from scalix.launch.config.identity_builder import build_identity, of_no_place
from scalix.launch.config.included import load_config
from scalix.launch.config.models_in_service import build_models
from scalix.launch.config.name_checks import name_problems, unpriced
from scalix.launch.config.offered import embeddings, not_offered
from scalix.launch.config.policy_builder import build_policy
from scalix.launch.config.price_builder import map_names
from scalix.launch.config.references import References
from scalix.launch.config.route_checks import route_problems
from scalix.launch.config.schema_errors import dotted, validated
from scalix.launch.config.shipped_tiers import complete_tiers
from scalix.launch.config.version import config_version
from scalix.launch.litellm.judging import judge
from scalix.launch.litellm.taken import take_rest
from scalix.launch.litellm.translating import take_variables, translate
from scalix.launch.problems import LaunchError, Problem, shown_path


@dataclass(frozen=True, slots=True)
class GatewayConfig:
    """The result of reading one config file. `policy` and `litellm` hold the models in service only.

    `litellm` is LiteLLM's config, with `os.environ/NAME` in place of every secret. `left_out` has each public
    model that can't be served, with the variable that it lacks. `warnings` and `translated` (settings of
    LiteLLM's that hold in another way) are whole lines for the operator. `referred` are the variables that the
    file refers to. `variables` are those that the file sets for the workers, secrets in plain text among them.
    `files` are the file itself and those that it includes.
    """

    policy: Policy
    litellm: Mapping[str, Any]
    left_out: tuple[tuple[str, str], ...]
    warnings: tuple[str, ...]
    identity: IdentitySettings
    referred: frozenset[str] = frozenset()
    translated: tuple[str, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = ()

    @property
    def provider_keys_present(self) -> bool:
        """Whether any model is in service."""
        return bool(self.policy.models)


def read_config(
    path: Path, values: Mapping[str, str], *, demo: bool = False, production: bool = False
) -> GatewayConfig:
    """Read the config in `path`, with its references resolved against the variables in `values`.

    With `demo` every model is in service, at the demo provider. Raises `LaunchError` with all problems of the
    file, each with its line; in production also when no model can be served.
    """
    problems: list[Problem] = []
    source = load_config(path, problems)
    findings = Findings(source, problems)
    notes = complete_tiers(findings)
    # What is taken out as without effect may be a secret all the same.
    _translated(References(findings, values, production=production))
    variables = take_variables(findings, values)
    taken = take_rest(findings)
    custom_routers = take_custom_routers(findings, values)
    wanted_checks = take_health_checks(findings)
    translate(findings, values)
    judge(findings)
    declared = validated(findings)
    references = References(findings, values, production=production)
    litellm = with_gateway_settings(_translated(references), source)
    problems += name_problems(source)
    problems += route_problems(source, taken.aliases)
    if declared is None:
        # The secrets and broken references among models that are not well-formed are reported too.
        references.translated(source.listed("model_list"), ("model_list",))
        raise LaunchError(_in_order(problems))
    identity = build_identity(declared.scalix, findings, values)
    known = map_names(declared.model_list)
    rendered, unasked = list[Rendered](), list[str]()
    for item in render_deployments(declared.model_list, references, values, demo=demo):
        if (why := not_offered(item, known, litellm, values, demo=demo)) is None:
            rendered.append(item)
        else:
            unasked.append(f"{source.where(item.steps)}: {item.name} is left out: {why}")
    in_service = [item for item in rendered if not item.missing]
    models, wildcards = build_models(in_service, declared, values, demo=demo, production=production)
    engines = EngineChoice(findings, declared.scalix.engine, litellm, in_service)
    models, wildcards = engines.chosen(models), engines.chosen(wildcards)
    checks = health_checks(wanted_checks, in_service, findings)
    left_out = _left_out(rendered, models)
    if production and not models:
        lacking = ", ".join(dict.fromkeys(variable for _, variable in left_out))
        fix = f"set one of {lacking}" if lacking else "set the key of a provider that the config names"
        problems.append(Problem(shown_path(path), "no model can be served", fix))
    names = {item.name for item in rendered}
    listed = {name: model for name, model in {**models, **wildcards}.items() if name in names}
    without_price = list(unpriced(listed, embeddings(declared.model_list, known), source))
    if production:
        problems += without_price
    if problems:
        raise LaunchError(_in_order(problems))
    warnings = [
        *notes,
        *dict.fromkeys(findings.without_effect),
        *unasked,
        *_in_order(findings.warnings),
        *deployment_notes(rendered, models, values),
        *_of_the_file(rendered, models, references),
        *without_price,
    ]
    policy = build_policy(declared.scalix, models, wildcards, taken)
    policy = replace(policy, custom_routers=custom_routers, health_checks=checks)
    told = _without_decimals({"model_list": [item.entry for item in in_service], **litellm})
    version = config_version(policy, told, of_no_place(identity, declared.scalix))
    return GatewayConfig(
        policy=replace(
            policy,
            issuers=identity.issuers,
            anonymous_tier=identity.anonymous_tier,
            trusted_proxies=identity.trusted_proxies,
            version=version,
        ),
        litellm=told,
        left_out=left_out,
        warnings=tuple(map(str, warnings)),
        identity=identity,
        referred=frozenset(references.names),
        translated=tuple(findings.translated),
        variables={**variables, **references.plain},
        files=tuple(source.files),
    )


def _translated(references: References) -> dict[str, Any]:
    """Return LiteLLM's sections, without its models, with references in LiteLLM's syntax."""
    sections = references.source.data.items()
    return {
        key: references.translated(section, (key,)) for key, section in sections if key not in ("scalix", "model_list")
    }


def _left_out(rendered: list[Rendered], models: Mapping[str, Model]) -> tuple[tuple[str, str], ...]:
    lacking = [(item.name, item.missing[0]) for item in rendered if item.missing and item.name not in models]
    return tuple(dict(reversed(lacking)).items())[::-1]


def _of_the_file(rendered: list[Rendered], models: Mapping[str, Model], references: References) -> Iterator[str]:
    """Lines about fallbacks, priorities and references that have no effect, and about a file without a model."""
    source = references.source
    declared = {item.name for item in rendered}
    for asked, chain in source.mapping("scalix", "fallbacks").items():
        for name in chain if asked in models else ():
            if name not in models and name not in declared:
                yield f"the fallback {name} of {asked} is passed over: no wildcard in service knows such a model"
    if not models:
        is_key = any(item.missing for item in rendered) or not source.data["model_list"]
        what = "set a provider's key" if is_key else "the lines above say why; mend that"
        yield f"no model is in service: {what}, or start with --demo"
    yield from priority_notes(source.data["model_list"])
    for steps, names in references.missing.items():
        if steps[0] != "model_list" and DEMO_URL_VARIABLE not in names and steps[-1] != "master_key":
            yield f"{source.where(steps)}: {dotted(steps)} refers to {names[0]}, which is not set"


def _in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems by line, and drop repeated ones."""

    def line(problem: Problem) -> int:
        number = problem.where.rpartition(":")[2]
        return int(number) if number.isdigit() else 0

    return sorted(dict.fromkeys(problems), key=line)


def _without_decimals(value: Any) -> Any:
    """Turn decimals into floats, which LiteLLM computes with; our own prices and amounts are whole numbers in the
    policy."""
    if isinstance(value, Mapping):
        return {key: _without_decimals(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_decimals(item) for item in value]
    return value if isinstance(value, str | int | bool) or value is None else float(value)
