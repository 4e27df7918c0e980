"""System and config: what runs, and by which rules."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import orjson

from scalix.domain.limits.limits import Limit
from scalix.domain.policy import Policy, Tier
from scalix.domain.prices import rate_names as rates
from scalix.domain.prices.peak_prices import PPM
from scalix.domain.prices.pricing import ATTO_PER_USD, Price, price_at
from scalix.pages.formats import number
from scalix.pages.rows import Context, PageRequest, Role, Services, page
from scalix.service.ledger.ledger_administration import LedgerAdministration
from scalix.service.operation import Operation
from scalix.service.policy_source import PolicySource

# What has tables of its own on the page, or is told in a line.
_APART = frozenset({"tiers", "models", "wildcards", "version", "default_tier", "fallbacks", "guard"})


async def _system(services: Services, asked: PageRequest) -> Context:
    operation, policy = services[Operation], services[PolicySource].current
    ready, run = dict(await operation.ready()), operation.run()
    return {
        "run": run,
        "ready": all(value == "ok" for value in ready.values() if isinstance(value, str)),
        "parts": {name: value for name, value in ready.items() if isinstance(value, str)},
        "alarms": {name: value for name, value in ready.items() if isinstance(value, int) and name != "backup_age_s"},
        "workers": [
            {"name": one["name"], "pid": one["process"]["pid"], "state": "ready" if one["ready"] else "starting"}
            for one in run.get("workers", ())
        ],
        "gateways": [
            {**asdict(one), "same": "" if one.config == policy.version else "another config"}
            for one in await operation.gateways()
        ],
        "store": await services[LedgerAdministration].status(),
        "backup": await operation.backups.last(),
        "backups_to": policy.backup.to,
        "journal_bytes": operation.journal.pending_bytes,
    }


async def _config(services: Services, asked: PageRequest) -> Context:
    operation, policy = services[Operation], services[PolicySource].current
    run = operation.run()
    return {
        "policy": policy,
        "run": run,
        "others": [one for one in await operation.gateways() if one.config != policy.version],
        "tiers": [_tier(one, policy) for one in policy.tiers.values()],
        "models": list(_models(policy, asked.now_ms)),
        "settings": list(_settings(policy)),
    }


def _tier(tier: Tier, policy: Policy) -> dict[str, Any]:
    concurrent = tier.limits.concurrent
    limits = [_limit(one) for one in tier.limits.windows]
    if concurrent is not None:
        limits.append(f"{concurrent} at once" + ("" if tier.limits.enforce_concurrent else " (shadow)"))
    more = {
        "prepaid": tier.prepaid,
        f"priority {tier.priority}": tier.priority != "normal",
        "served while the store is away": tier.on_store_failure == "allow",
        f"at most {tier.max_output_tokens:,} tokens an answer"
        if tier.max_output_tokens
        else "": tier.max_output_tokens,
    }
    return {
        "name": tier.name + (" (default)" if tier.name == policy.default_tier else ""),
        "limits": ", ".join(limits) or "none",
        "models": ", ".join(tier.models) or "none",
        "features": ", ".join(sorted(tier.features)),
        "markup": f"cost × {number(tier.markup_ppm / PPM)}" if tier.markup_ppm else "nothing",
        "more": ", ".join(text for text, holds in more.items() if holds),
    }


def _limit(limit: Limit) -> str:
    unit = limit.metric.unit
    amount = f"${unit.text(limit.value)}" if unit.is_money else f"{limit.value:,} {unit.word}"
    return f"{amount} a{'n' if limit.window == 'hour' else ''} {limit.window.value}" + (
        "" if limit.enforce else " (shadow)"
    )


def _models(policy: Policy, now_ms: int) -> Iterator[dict[str, Any]]:
    for model in {**policy.models, **policy.wildcards}.values():
        price = price_at(model.prices, now_ms)
        yield {
            "name": model.name,
            "provider_model": model.provider_model,
            "deployments": len(model.ways),
            "engine": model.engine.name,
            "price": "not known" if price is None else _price(price),
            "max_input_tokens": model.max_input_tokens,
            "max_output_tokens": model.max_output_tokens,
            "fallbacks": ", ".join(policy.fallbacks.get(model.name, ())),
        }


def _price(price: Price) -> str:
    per_million = {name: rate * 1_000_000 / ATTO_PER_USD for name, rate in price.rates}
    found = [number(per_million[name]) for name in (rates.INPUT, rates.OUTPUT) if name in per_million]
    return f"{' / '.join(found) or 'by other units'} ({price.version})"


def _settings(policy: Policy) -> Iterator[tuple[str, str]]:
    """Each setting beside tiers and models, where it says anything."""
    for name in policy.__slots__:
        if name not in _APART:
            yield from _written(name, getattr(policy, name))
    yield from _written("", policy.guard)


def _written(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if is_dataclass(value) and not isinstance(value, type):
        for field, held in asdict(value).items():
            yield from _written(f"{name}.{field}".strip("."), held)
    elif isinstance(value, Mapping) and value and all(isinstance(key, str) for key in value):
        for key, held in value.items():
            yield from _written(f"{name}.{key}", held)
    elif value not in (None, "", (), {}, [], frozenset()):
        plain = orjson.dumps(
            value, default=lambda odd: sorted(odd) if isinstance(odd, frozenset) else str(odd)
        ).decode()
        yield name, plain.strip('"')


SYSTEM_ROWS = (
    page("/ui/config", Role.OPERATOR, _config, "operator/config.html", "Config"),
    page("/ui/system", Role.OPERATOR, _system, "operator/system.html", "System"),
)
