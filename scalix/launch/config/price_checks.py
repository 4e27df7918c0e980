"""Whether the prices of a config file fit the rest of it."""

import time
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from scalix.domain.model_names import filled_in
from scalix.domain.policy import Model
from scalix.domain.prices.price_map import atto_usd, is_price_name
from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.problems import Problem, nearest

_SECTION = ("scalix", "prices")
# Checked with the rest of a deployment.
_CHECKED = ("input_cost_per_token", "output_cost_per_token")


def price_problems(source: YamlSource) -> Iterable[Problem]:
    """Prices of models and markups of tiers that there are not, and prices of deployments that are none.

    Reads the file as it is, so that these are reported with whatever else is wrong with it.
    """
    deployments = source.data.get("model_list")
    deployments = deployments if isinstance(deployments, list) else []
    section = _mapping(source.data.get("scalix"))
    prices = _mapping(section.get("prices"))
    models = [str(item["model_name"]) for item in deployments if isinstance(item, dict) and "model_name" in item]
    yield from _unknown(source, "models", _mapping(prices.get("models")), models, "model", "in model_list")
    tiers = _mapping(section.get("tiers"))
    markup = _mapping(prices.get("markup"))
    yield from _unknown(source, "markup", markup, list(map(str, tiers)), "tier", "in scalix.tiers")
    for name, tier in tiers.items():
        if _mapping(tier).get("prepaid") is True and str(markup.get(name, 1)) in ("0", "0.0"):
            where = source.where(("scalix", "tiers", name, "prepaid"))
            what = f"tier '{name}' is prepaid and its markup is 0, so that nothing would ever be taken from a balance"
            yield Problem(where, what, "give it a markup, or remove prepaid")
    for name, entries in _mapping(prices.get("models")).items():
        yield from _repeated(source, str(name), entries)
    for index, deployment in enumerate(deployments):
        for part in ("model_info", "litellm_params"):
            yield from _no_amounts(source, ("model_list", index, part), _mapping(_mapping(deployment).get(part)))


def unpriced(models: Mapping[str, Model], embeddings: Collection[str], source: YamlSource) -> Iterable[Problem]:
    """The models in service whose price nobody knows now: each would be given away. `embeddings` have no answers."""
    now_ms = time.time_ns() // 1_000_000
    listed = [item.get("model_name") for item in source.data["model_list"]]
    for name, model in models.items():
        price = model.price_at(now_ms)
        if price is not None and price.has_rates(answers=name not in embeddings):
            continue
        what = f"the model '{name}' has no price"
        if price is not None:
            what = (
                f"the price of the model '{name}' does not say what {'answers' if price.has_input else 'prompts'} cost"
            )
        elif model.prices:
            what = f"the model '{name}' has no price before {model.prices[0].version}"
        fix = f"write one under scalix.prices.models.{name}, or input_cost_per_token and output_cost_per_token in its "
        yield Problem(source.where(("model_list", listed.index(name))), what, f"{fix}model_info (0 where it is free)")


def _unknown(
    source: YamlSource, part: str, written: Mapping[Any, Any], known: list[str], kind: str, where: str
) -> Iterable[Problem]:
    for name in written:
        if any(str(name) == other or filled_in(other, str(name)) is not None for other in known) or not known:
            continue
        guess = nearest(str(name), known)
        fix = f"write {guess}" if guess else "remove it"
        place = source.where((*_SECTION, part, name))
        yield Problem(place, f"scalix.prices.{part} names the {kind} '{name}', which is not {where}", fix)


def _repeated(source: YamlSource, name: str, entries: object) -> Iterable[Problem]:
    seen = set[str]()
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        since = str(_mapping(entry).get("from", ""))
        if since in seen:
            what = f"two prices of '{name}' hold {f'from {since}' if since else 'always'}"
            yield Problem(source.where((*_SECTION, "models", name, index)), what, "keep one of the two")
        seen.add(since)


def _no_amounts(source: YamlSource, place: tuple[str | int, ...], part: Mapping[Any, Any]) -> Iterable[Problem]:
    for key, value in part.items():
        is_price = isinstance(key, str) and key not in _CHECKED and is_price_name(key)
        if is_price and value is not None and atto_usd(value) is None:
            what = f"{key} is not a price in US dollars"
            yield Problem(source.where((*place, key)), what, "write a number such as 0.0000025")


def _mapping(value: Any) -> dict[Any, Any]:
    return value if isinstance(value, dict) else {}
