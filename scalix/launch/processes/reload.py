"""A reload: the config is read again, and its policy is put into force in every worker, or nothing changes."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from scalix.launch.config.policy_file import write_policy
from scalix.launch.problems import LaunchError
from scalix.launch.processes.runfile import ReloadEntry

if TYPE_CHECKING:
    from scalix.domain.policy import Model, Policy
    from scalix.launch.config.config_file import GatewayConfig
    from scalix.launch.processes.plan import Plan

# Parts of a policy that the file calls by other names; tiers, models and prices are told apart.
_WRITTEN = {
    "aliases": "model_group_alias",
    "health_checks": "background_health_checks",
    "key_defaults": "default_key_generate_params",
    "key_bounds": "upperbound_key_generate_params",
    "ip_allow": "ip_rules",
    "ip_deny": "ip_rules",
    "user_header": "user_header_name",
    "cors_origins": "cors.origins",
}
_TIERS = ("tier", "scalix_tier")  # of a model, in the file and in what LiteLLM is told
_TOLD_APART = frozenset({"tiers", "default_tier", "models", "wildcards", "guard"})


class Reload(NamedTuple):
    """The policy that the file has now, with the models that the gateway runs with, at the new prices. `notes` are
    lines for the operator."""

    policy: "Policy"
    notes: tuple[str, ...]


def put_in_place(plan: "Plan", number: int, policy_path: Path) -> "tuple[Policy | None, ReloadEntry]":
    """Read the config file of a running gateway again, and write its policy to where the workers find it. Returns the
    policy, `None` where there are problems, and what to tell the operator."""
    try:
        policy, notes = read_again(plan)
        write_policy(policy_path, number, policy)
    except LaunchError as error:
        return None, ReloadEntry(number, problems=tuple(str(problem) for problem in error.problems))
    except Exception as error:
        # A gateway that serves goes on, whatever is wrong with the file or with this code.
        what = f"{plan.settings.config_path}: reading it failed: {type(error).__name__}: {error}"
        return None, ReloadEntry(number, problems=(what,))
    return policy, ReloadEntry(number, notes=notes)


def read_again(plan: "Plan") -> Reload:
    """What a reload brings. Raises `LaunchError`."""
    from scalix.launch.config.config_environment import with_config_variables
    from scalix.launch.config.config_file import read_config

    settings, before = plan.settings, plan.config
    values = with_config_variables(plan.environment, settings.config_path).values
    config = read_config(settings.config_path, values, demo=plan.demo, production=settings.production)
    now = config.policy
    models = {name: _repriced(model, now.models.get(name)) for name, model in before.policy.models.items()}
    policy = replace(
        now,
        models=models,
        wildcards={name: _repriced(model, now.wildcards.get(name)) for name, model in before.policy.wildcards.items()},
        aliases={alias: name for alias, name in now.aliases.items() if name in models},
        routing_strategy=before.policy.routing_strategy,  # LiteLLM is told of it at the start only
    )
    notes = [_summary(before.policy, policy)]
    sections = list(_need_a_restart(before, config, policy))
    if config.variables != before.variables or values != plan.environment.values:
        sections.append("environment_variables and secrets")
    if sections:
        listed = ", ".join(sections)
        notes.append(f"changes in {listed} come into force with a restart only: run --stop, then start again")
    known = {_without_place(line) for line in before.warnings}
    notes += [line for line in config.warnings if _without_place(line) not in known]
    return Reload(policy, tuple(notes))


def _need_a_restart(before: "GatewayConfig", now: "GatewayConfig", policy: "Policy") -> Iterator[str]:
    """The parts of the file that have changed and do not come into force with `policy`."""
    names = {**before.litellm, **now.litellm}
    sections = [name for name in names if _compared(before.litellm.get(name)) != _compared(now.litellm.get(name))]
    told = policy.models, policy.wildcards
    if "model_list" not in sections and (now.policy.models, now.policy.wildcards) != told:
        sections.insert(0, "model_list")
    yield from sections
    if now.identity != before.identity:
        yield from ("scalix.jwt", "scalix.anonymous", "scalix.trusted_proxies")


def _compared(section: Any) -> Any:
    """A section without the tiers that its models name, which a reload puts into force."""
    if isinstance(section, Mapping):
        return {key: _compared(value) for key, value in section.items() if key not in _TIERS}
    return [_compared(item) for item in section] if isinstance(section, list) else section


def _without_place(line: str) -> str:
    """A warning without the number of its line, which changes with every line above it."""
    return line.partition(": ")[2] or line


def _repriced(model: "Model", now: "Model | None") -> "Model":
    """`model` with the prices of `now`, unless more than its prices has changed. Its engines stay until a restart."""
    if now is None or now.unpriced() != model.unpriced():
        return model
    pairs = zip(now.deployments, model.deployments, strict=True)
    return replace(
        now, engine=model.engine, deployments=tuple(replace(one, engine=before.engine) for one, before in pairs)
    )


def _summary(before: "Policy", after: "Policy") -> str:
    parts = []
    changed = [name for name, tier in after.tiers.items() if before.tiers.get(name, tier) != tier]
    for words, names in (
        ("changed", changed),
        ("new", [name for name in after.tiers if name not in before.tiers]),
        ("gone", [name for name in before.tiers if name not in after.tiers]),
        ("new prices", [name for name, model in after.models.items() if before.models[name].prices != model.prices]),
        ("settings", _changed_settings(before, after)),
    ):
        if names:
            parts.append(f"{words}: {', '.join(names)}")
    if before.default_tier != after.default_tier:
        parts.append(f"default tier: {after.default_tier}")
    return f"tiers reloaded ({'; '.join(parts)})" if parts else "tiers reloaded, they are as before"


def _changed_settings(before: "Policy", after: "Policy") -> list[str]:
    """The settings that have changed beside tiers, models and prices, as the file calls them."""
    names = [
        field.name
        for one, other in ((before, after), (before.guard, after.guard))
        for field in fields(one)
        if field.name not in _TOLD_APART and getattr(one, field.name) != getattr(other, field.name)
    ]
    return list(dict.fromkeys(_WRITTEN.get(name, name) for name in names))
