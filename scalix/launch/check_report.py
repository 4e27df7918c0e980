"""What `--check` prints: what would run, without starting any of it."""

from collections.abc import Iterator
from typing import Any

from scalix.launch.plan import Plan
from scalix.store.server_check import redacted


def as_json(plan: Plan) -> dict[str, Any]:
    """The plan as plain data; nothing secret in it."""
    settings = plan.settings
    return {
        "ok": True,
        "host": settings.host,
        "port": settings.port,
        "workers": settings.workers,
        "scalix_env": settings.scalix_env,
        "config": str(settings.config_path),
        "env_files": [str(path) for path in plan.environment.sources],
        "state_dir": str(settings.state_dir),
        "log_file": str(settings.log_file),
        "demo": plan.demo,
        "store": _store(plan),
        "models": list(plan.models),
        "left_out": [{"model": name, "missing": variable} for name, variable in plan.config.left_out],
        "tiers": {
            name: {
                "limits": {limit.name: limit.value for limit in tier.limits.windows},
                "models": [model for model in plan.models if tier.allows(model)],
            }
            for name, tier in plan.config.policy.tiers.items()
        },
        "warnings": list(plan.config.warnings),
    }


def as_text(plan: Plan) -> str:
    """The same, in lines."""
    return "\n".join(f"{label:<9}{text}" for label, text in _rows(plan))


def _rows(plan: Plan) -> Iterator[tuple[str, str]]:
    facts = as_json(plan)
    files = ", ".join(facts["env_files"]) or "no env file"
    yield "config", facts["config"]
    yield "settings", f"{files}; SCALIX_ENV={facts['scalix_env']}"
    yield "address", f"{facts['host']} port {facts['port']}, {facts['workers']} worker(s)"
    yield "store", facts["store"]
    if plan.demo:
        yield "demo", "the demo provider stands in for every provider"
    yield "models", f"{len(plan.models)} in service: {', '.join(plan.models) or 'none'}"
    for name, variable in plan.config.left_out:
        yield "models", f"{name} is left out: {variable} is not set"
    for name, tier in facts["tiers"].items():
        limits = ", ".join(f"{value:,} {limit}" for limit, value in tier["limits"].items()) or "unlimited"
        default = " (default)" if name == plan.config.policy.default_tier else ""
        yield "tier", f"{name}{default}: {limits}; {len(tier['models'])} models"
    for warning in plan.config.warnings:
        yield "warning", warning
    yield "check", "all well; nothing was started"


def _store(plan: Plan) -> str:
    url = plan.settings.redis_url
    return f"the server at {redacted(url)}" if url else f"embedded, in {plan.settings.state_dir / 'store'}"
