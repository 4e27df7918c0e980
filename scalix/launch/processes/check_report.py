"""The report of `--check`: what a start with these settings would run. Nothing is started for it."""

from collections.abc import Iterator
from typing import Any

from scalix.domain.engines import Engine
from scalix.domain.identity.identity import IdentitySettings
from scalix.launch.processes.plan import Plan
from scalix.launch.processes.ports import base_url
from scalix.launch.processes.start_block import model_lines, page_lines
from scalix.launch.settings.tls import read_key_pair
from scalix.store.connection.server_check import redacted


def as_json(plan: Plan) -> dict[str, Any]:
    """The report as plain data for JSON, without secrets."""
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
        "tls": _tls(plan),
        "demo": plan.demo,
        "store": _store(plan),
        "models": list(plan.models),
        "engines": {
            name: {"engine": engine.name, "reason": engine.reason} for name, engine in _engines(plan, of_wildcards=True)
        },
        "left_out": [{"model": name, "missing": variable} for name, variable in plan.config.left_out],
        "tiers": {
            name: {
                "limits": {limit.name: limit.value for limit in tier.limits.windows},
                "models": [model for model in plan.models if tier.allows(model)],
            }
            for name, tier in plan.config.policy.tiers.items()
        },
        "identity": _identity(plan.config.identity),
        "translated": list(plan.config.translated),
        "kept_from_litellm": sorted(plan.kept_from_litellm),
        "pages": list(page_lines(plan, base_url(settings.host, settings.port, tls=settings.tls is not None))),
        "warnings": [*plan.notes, *plan.config.warnings],
    }


def as_text(plan: Plan) -> str:
    """The report as lines for a person."""
    return "\n".join(f"{label:<9}{text}" for label, text in _rows(plan))


def _rows(plan: Plan) -> Iterator[tuple[str, str]]:
    facts = as_json(plan)
    files = ", ".join(facts["env_files"]) or "no env file"
    yield "config", facts["config"]
    yield "settings", f"{files}; SCALIX_ENV={facts['scalix_env']}"
    yield "address", f"{facts['host']} port {facts['port']}, {facts['workers']} worker(s)"
    if facts["tls"]:
        yield "tls", facts["tls"]
    yield "store", facts["store"]
    if plan.demo:
        yield "demo", "the demo provider stands in for every provider"
    yield from model_lines(plan)
    for name, engine in _engines(plan, of_wildcards=False):
        yield "engine", f"{name}: {engine.name} ({engine.reason})"
    for name, tier in facts["tiers"].items():
        limits = ", ".join(f"{value:,} {limit}" for limit, value in tier["limits"].items()) or "unlimited"
        default = " (default)" if name == plan.config.policy.default_tier else ""
        yield "tier", f"{name}{default}: {limits}; {len(tier['models'])} models"
    for issuer in facts["identity"]["issuers"]:
        users = f"{issuer['user_prefix']}<{issuer['user_claim']}>"
        tier = f", tier from {issuer['tier_claim']}" if issuer["tier_claim"] else ""
        signed = f"{', '.join(issuer['algorithms'])} by {issuer['keys']}"
        yield "tokens", f"{issuer['issuer']}: {signed}; users {users}{tier}"
    if facts["identity"]["anonymous_tier"]:
        yield "callers", f"without a credential: by address, tier {facts['identity']['anonymous_tier']}"
    if facts["identity"]["trusted_proxies"]:
        yield "proxies", f"believed: {', '.join(facts['identity']['trusted_proxies'])}"
    for line in facts["pages"]:
        yield "pages", line
    for line in plan.config.translated:
        yield "litellm", line
    for line in plan.notes_on_kept:
        yield "litellm", line
    for warning in facts["warnings"]:
        yield "warning", warning
    yield "check", "all well; nothing was started"


def _engines(plan: Plan, *, of_wildcards: bool) -> Iterator[tuple[str, Engine]]:
    """What serves each model and each wildcard, with or without the names that LiteLLM's map knows for wildcards, and
    of several deployments each."""
    policy = plan.config.policy
    for name, model in {**policy.models, **policy.wildcards}.items():
        if of_wildcards or "*" in name or not model.of_wildcard:
            yield from (
                ((one.id, one.engine) for one in model.deployments) if model.deployments else ((name, model.engine),)
            )


def _identity(settings: IdentitySettings) -> dict[str, Any]:
    return {
        "issuers": [
            {
                "issuer": issuer.name,
                "algorithms": list(issuer.algorithms),
                "keys": issuer.secret_variable or issuer.jwks_url or issuer.jwks_file,
                "user_claim": issuer.user_claim,
                "user_prefix": issuer.user_prefix,
                "tier_claim": issuer.tier_claim,
            }
            for issuer in settings.issuers
        ],
        "anonymous_tier": settings.anonymous_tier,
        "trusted_proxies": [str(network) for network in settings.trusted_proxies],
    }


def _tls(plan: Plan) -> str | None:
    tls = plan.settings.tls
    return read_key_pair(tls).description if tls else None


def _store(plan: Plan) -> str:
    url = plan.settings.redis_url
    return f"the server at {redacted(url)}" if url else f"embedded, in {plan.settings.state_dir / 'store'}"
