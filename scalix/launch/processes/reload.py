"""A reload: the config is read anew, and its policy put into force in every worker, or nothing changes."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scalix.launch.config.policy_file import write_policy
from scalix.launch.problems import LaunchError

if TYPE_CHECKING:
    from scalix.domain.policy import Model, Policy
    from scalix.launch.processes.plan import Plan


@dataclass(frozen=True)
class Reload:
    """What came of it. `policy` is `None` when there are `problems`; `notes` are lines for the operator."""

    policy: "Policy | None"
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_again(plan: "Plan") -> Reload:
    """The policy that the config file of a running gateway says now, for the models that it runs with, at the prices of
    now."""
    from scalix.launch.config.config_file import read_config

    settings = plan.settings
    try:
        config = read_config(
            settings.config_path, plan.environment.values, demo=plan.demo, production=settings.production
        )
    except LaunchError as error:
        return Reload(None, problems=tuple(str(problem) for problem in error.problems))
    except Exception as error:
        # Whatever is wrong with a file, or with us, a gateway that serves goes on serving.
        return Reload(None, problems=(f"{settings.config_path}: reading it failed: {type(error).__name__}: {error}",))
    models, now = plan.config.policy.models, config.policy.models
    policy = replace(config.policy, models={name: _repriced(model, now.get(name)) for name, model in models.items()})
    sections = [name for name in {**plan.config.litellm, **config.litellm} if _differs(plan, config.litellm, name)]
    if not sections and now != policy.models:
        sections = ["model_list"]
    if config.identity != plan.config.identity:
        sections += ["scalix.jwt", "scalix.anonymous", "scalix.trusted_proxies"]
    notes = [_summary(plan.config.policy, policy)]
    if sections:
        listed = ", ".join(sections)
        notes.append(f"changes in {listed} come into force with a restart only: run --stop, then start again")
    return Reload(policy, notes=tuple(notes))


def _repriced(model: "Model", now: "Model | None") -> "Model":
    """`model` at the prices of now, unless it is another one now."""
    return now if now is not None and replace(now, prices=model.prices) == model else model


def put_in_place(plan: "Plan", number: int, policy_path: Path) -> Reload:
    """Read the config again, and write its policy to where the workers find it."""
    outcome = read_again(plan)
    if outcome.policy:
        try:
            write_policy(policy_path, number, outcome.policy)
        except LaunchError as error:
            return Reload(None, problems=(str(error),))
    return outcome


def _differs(plan: "Plan", litellm: object, name: str) -> bool:
    return not isinstance(litellm, dict) or plan.config.litellm.get(name) != litellm.get(name)


def _summary(before: "Policy", after: "Policy") -> str:
    parts = []
    changed = [name for name, tier in after.tiers.items() if before.tiers.get(name, tier) != tier]
    for words, names in (
        ("changed", changed),
        ("new", [name for name in after.tiers if name not in before.tiers]),
        ("gone", [name for name in before.tiers if name not in after.tiers]),
        ("new prices", [name for name, model in after.models.items() if before.models[name].prices != model.prices]),
    ):
        if names:
            parts.append(f"{words}: {', '.join(names)}")
    if before.default_tier != after.default_tier:
        parts.append(f"default tier: {after.default_tier}")
    return f"tiers reloaded ({'; '.join(parts)})" if parts else "tiers reloaded, they are as before"
