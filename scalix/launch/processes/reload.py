"""A reload: config and env files are read again, and all of them is put into force, or nothing changes."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from scalix.launch.config.references import PLAIN_PREFIX
from scalix.launch.problems import LaunchError, shown_path
from scalix.launch.processes.ports import check_ui_port
from scalix.launch.processes.runfile import ReloadEntry

if TYPE_CHECKING:
    from scalix.domain.policy import Model, Policy
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
    "issuers": "jwt.issuers",
    "anonymous_tier": "anonymous",
}
_TIERS = ("tier", "scalix_tier")  # of a model, in the file and in what LiteLLM is told
_TOLD_APART = frozenset({"tiers", "default_tier", "models", "wildcards", "guard", "version"})


# Settings that a launcher has from its start to its end.
_OF_A_START = {
    "host": "LITELLM_HOST",
    "port": "LITELLM_PORT",
    "workers": "LITELLM_MAX_WORKERS",
    "log_file": "LITELLM_LOG_FILE",
    "log_format": "SCALIX_LOG_FORMAT",
    "state_dir": "SCALIX_STATE_DIR",
    "redis_url": "REDIS_URL",
    "scalix_env": "SCALIX_ENV",
    "tls": "SCALIX_TLS_*",
    "worker_hang_s": "SCALIX_WORKER_HANG_S",
}
_OF_A_START_TOO = ("REDIS_", "SCALIX_TLS_")


class Change(NamedTuple):
    """What a reload brings: the plan from now on, whether workers have to be replaced for it, lines for the operator,
    and what is different in a few words each, nothing where all is as before."""

    plan: "Plan"
    replaces: bool
    notes: tuple[str, ...]
    brings: tuple[str, ...] = ()


def prepared(plan: "Plan", number: int) -> "tuple[Change | None, ReloadEntry]":
    """Read the config and the env files of a running gateway again. Returns the change, `None` where there are
    problems, and what to tell the operator. Puts nothing in force."""
    try:
        change = read_again(plan)
    except LaunchError as error:
        return None, ReloadEntry(number, problems=tuple(str(problem) for problem in error.problems))
    except Exception as error:
        # A gateway that serves goes on, whatever is wrong with the file or with this code.
        what = f"{plan.settings.config_path}: reading it failed: {type(error).__name__}: {error}"
        return None, ReloadEntry(number, problems=(what,))
    return change, ReloadEntry(number, notes=change.notes, replaces=change.replaces)


def read_again(plan: "Plan") -> Change:
    """What a reload brings. Raises `LaunchError`."""
    now = plan.again()
    if now.demo and not plan.demo:
        what = "no provider's key is set any more, and the demo provider comes with a start only"
        raise LaunchError.of(shown_path(plan.settings.config_path), what, "set a key, or run --stop, then start again")
    before, config = plan.config, now.config
    if config.policy.ui.own_port != before.policy.ui.own_port:
        check_ui_port(config.policy.ui, plan.settings.host)
    brings = list(_changes(before.policy, config.policy))
    notes = [f"tiers reloaded ({'; '.join(brings)})" if brings else "tiers reloaded, they are as before"]
    reasons = list(_other_workers(plan, now))
    if reasons:
        notes.append(f"workers are replaced one by one: {', '.join(reasons)}")
        brings.append(f"with new workers: {', '.join(reasons)}")
    settings = replace(now.settings, **{name: getattr(plan.settings, name) for name in _OF_A_START})
    fixed = [
        shown for name, shown in _OF_A_START.items() if getattr(now.settings, name) != getattr(plan.settings, name)
    ]
    if fixed:
        listed = ", ".join(fixed)
        brings.append(f"with a restart only: {listed}")
        notes.append(f"changes in {listed} come into force with a restart only: run --stop, then start again")
    known = {_without_place(line) for line in before.warnings}
    notes += [line for line in config.warnings if _without_place(line) not in known]
    return Change(replace(now, settings=settings, log_key=plan.log_key), bool(reasons), tuple(notes), tuple(brings))


def _other_workers(plan: "Plan", now: "Plan") -> Iterator[str]:
    """What has changed that a worker gets at its start only: sections of the file, and variables."""
    before, after = plan.config, now.config
    names = {**before.litellm, **after.litellm}
    sections = [name for name in names if _compared(before.litellm.get(name)) != _compared(after.litellm.get(name))]
    if "model_list" not in sections and _of_engines(before.policy) != _of_engines(after.policy):
        sections.insert(0, "model_list")
    yield from sections
    if set(now.signing_secrets) - set(plan.signing_secrets):
        yield "scalix.jwt"
    if after.policy.ui.own_port != before.policy.ui.own_port:
        yield "scalix.ui.port"
    known = {**plan.environment.values, **before.variables}
    values = {**now.environment.values, **after.variables}
    changed = [
        name
        for name in {**known, **values}
        if known.get(name) != values.get(name)
        and name not in _OF_A_START.values()
        and not name.startswith(_OF_A_START_TOO)
    ]
    if changed:
        yield from dict.fromkeys("secrets" if name.startswith(PLAIN_PREFIX) else name for name in changed)


def _of_engines(policy: "Policy") -> Any:
    """What the engines know of models: all but their prices and tiers."""
    return [
        [
            replace(model, prices=(), deployments=tuple(replace(one, prices=()) for one in model.deployments))
            for model in models.values()
        ]
        for models in (policy.models, policy.wildcards)
    ], policy.routing_strategy


def _compared(section: Any) -> Any:
    """A section without the tiers that its models name, which a reload puts into force."""
    if isinstance(section, Mapping):
        return {key: _compared(value) for key, value in section.items() if key not in _TIERS}
    return [_compared(item) for item in section] if isinstance(section, list) else section


def _without_place(line: str) -> str:
    """A warning without the number of its line, which changes with every line above it."""
    return line.partition(": ")[2] or line


def _changes(before: "Policy", after: "Policy") -> Iterator[str]:
    changed = [name for name, tier in after.tiers.items() if before.tiers.get(name, tier) != tier]
    for words, names in (
        ("changed", changed),
        ("new", [name for name in after.tiers if name not in before.tiers]),
        ("gone", [name for name in before.tiers if name not in after.tiers]),
        ("new models", [name for name in after.models if name not in before.models]),
        ("models gone", [name for name in before.models if name not in after.models]),
        ("new prices", [name for name, model in after.models.items() if _prices(before, model) != model.prices]),
        ("settings", _changed_settings(before, after)),
    ):
        if names:
            yield f"{words}: {', '.join(names)}"
    if before.default_tier != after.default_tier:
        yield f"default tier: {after.default_tier}"


def _prices(policy: "Policy", model: "Model") -> Any:
    return policy.models.get(model.name, model).prices


def _changed_settings(before: "Policy", after: "Policy") -> list[str]:
    """The settings that have changed beside tiers, models and prices, as the file calls them."""
    names = [
        field.name
        for one, other in ((before, after), (before.guard, after.guard))
        for field in fields(one)
        if field.name not in _TOLD_APART and getattr(one, field.name) != getattr(other, field.name)
    ]
    return list(dict.fromkeys(_WRITTEN.get(name, name) for name in names))
