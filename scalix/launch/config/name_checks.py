"""Checks that the names and prices in a config file fit together.

The checks read the file as it is, so that their problems are reported together with malformed parts, which they
skip.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from scalix.domain.model_names import NOT, filled_in, fits, is_servable
from scalix.domain.policy import Model
from scalix.domain.prices.price_map import atto_usd, is_price_name
from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.problems import Problem, nearest

_FALLBACKS = ("scalix", "fallbacks")
_PRICES = ("scalix", "prices")
# These two prices are checked by the schema.
_CHECKED = ("input_cost_per_token", "output_cost_per_token")


def name_problems(source: YamlSource) -> Iterator[Problem]:
    """Yield a problem for each name of a tier or a model that does not exist, and for prices that can't be meant."""
    models = model_names(source)
    tiers = [str(name) for name in source.mapping("scalix", "tiers")]
    steps = ("scalix", "default_tier")
    default = source.at(steps)
    if tiers and isinstance(default, str) and default not in tiers:
        guess = nearest(default, tiers) or tiers[0]
        yield source.problem(steps, f"there is no tier '{default}'", f"write default_tier: {guess}")
    if models:
        yield from _of_tiers(source, models)
        yield from _of_fallbacks(source, models)
        yield from _of_ids(source, models)
    yield from _of_prices(source, "models", models, "model", "in model_list")
    yield from _of_prices(source, "markup", tiers, "tier", "in scalix.tiers")
    yield from _of_prepaid(source)
    for name, entries in source.mapping(*_PRICES, "models").items():
        yield from _repeated(source, name, entries)
    yield from _no_amounts(source)


def model_names(source: YamlSource) -> list[str]:
    """Return the public names in `model_list`, each once."""
    models = source.listed("model_list")
    return list(
        dict.fromkeys(str(item["model_name"]) for item in models if isinstance(item, dict) and "model_name" in item)
    )


def is_named(name: str, models: Iterable[str]) -> bool:
    """Whether `name` is one of `models`, or one that a wildcard among them may serve."""
    return any(name == model or filled_in(model, name) is not None for model in models)


def remedy(name: str, models: Sequence[str]) -> str:
    guessed = nearest(name, models)
    return f"write {guessed}, or add the model" if guessed else "add the model to model_list, or remove the name"


def _of_tiers(source: YamlSource, models: Sequence[str]) -> Iterator[Problem]:
    for tier in source.mapping("scalix", "tiers"):
        steps = ("scalix", "tiers", tier, "models")
        for index, written in enumerate(source.listed(*steps)):
            pattern = str(written).removeprefix(NOT)
            known = is_named(pattern, models) or any(fits(pattern, name) for name in models)
            if known or not isinstance(written, str):
                continue
            what = f"tier '{tier}' names the model '{pattern}', which model_list does not have"
            if "*" in pattern:
                what = f"no model in model_list matches '{pattern}' of tier '{tier}'"
            yield source.problem((*steps, index), what, remedy(pattern, models))


def _of_fallbacks(source: YamlSource, models: Sequence[str]) -> Iterator[Problem]:
    for asked in source.mapping(*_FALLBACKS):
        steps = (*_FALLBACKS, asked)
        if not is_named(str(asked), models):
            what = f"scalix.fallbacks names the model '{asked}', which model_list does not have"
            yield source.problem(steps, what, remedy(str(asked), models))
        seen: set[str] = set()
        for index, name in enumerate(source.listed(*steps)):
            if not isinstance(name, str):
                continue
            what = f"the fallbacks of '{asked}' name '{name}'"
            if name == asked:
                yield source.problem((*steps, index), f"{what} itself", "remove it from its own list")
            elif name in seen:
                yield source.problem((*steps, index), f"{what} twice", "remove one of the two")
            elif not is_named(name, models):
                yield source.problem((*steps, index), f"{what}, which model_list does not have", remedy(name, models))
            seen.add(name)


def _of_ids(source: YamlSource, models: Sequence[str]) -> Iterator[Problem]:
    """Report ids of deployments that a wildcard serves as names: LiteLLM would send a request for that name to
    this deployment, whose tier and price are others."""
    for index in range(len(source.listed("model_list"))):
        for place in (("litellm_params", "metadata"), ("model_info",)):
            steps = ("model_list", index, *place, "id")
            given = str(source.at(steps) or "")
            pattern = next((name for name in models if filled_in(name, given) is not None), None)
            if pattern is not None and given not in models and is_servable(given):
                what = f"the id '{given}' is a name that {pattern} serves, and this deployment would answer to it"
                yield source.problem(steps, what, "remove the id, or put a space into it")


def _of_prices(source: YamlSource, part: str, known: Sequence[str], kind: str, where: str) -> Iterator[Problem]:
    for name in source.mapping(*_PRICES, part):
        if known and not is_named(str(name), known):
            guess = nearest(str(name), known)
            what = f"scalix.prices.{part} names the {kind} '{name}', which is not {where}"
            yield source.problem((*_PRICES, part, name), what, f"write {guess}" if guess else "remove it")


def _of_prepaid(source: YamlSource) -> Iterator[Problem]:
    for name in source.mapping("scalix", "tiers"):
        steps = ("scalix", "tiers", name, "prepaid")
        if source.at(steps) is True and str(source.at((*_PRICES, "markup", str(name)))) in ("0", "0.0"):
            what = f"tier '{name}' is prepaid and its markup is 0, so that nothing would ever be taken from a balance"
            yield source.problem(steps, what, "give it a markup, or remove prepaid")


def _repeated(source: YamlSource, name: str, entries: object) -> Iterator[Problem]:
    seen = set[str]()
    for index, entry in enumerate(entries if isinstance(entries, list) else []):
        since = str(entry.get("from", "") if isinstance(entry, dict) else "")
        if since in seen:
            what = f"two prices of '{name}' hold {f'from {since}' if since else 'always'}"
            yield source.problem((*_PRICES, "models", name, index), what, "keep one of the two")
        seen.add(since)


def _no_amounts(source: YamlSource) -> Iterator[Problem]:
    for index in range(len(source.listed("model_list"))):
        for part in ("model_info", "litellm_params"):
            for key, value in source.mapping("model_list", index, part).items():
                is_price = isinstance(key, str) and key not in _CHECKED and is_price_name(key)
                if is_price and value is not None and atto_usd(value) is None:
                    what = f"{key} is not a price in US dollars"
                    yield source.problem(("model_list", index, part, key), what, "write a number such as 0.0000025")


def unpriced(models: Mapping[str, Model], embeddings: Collection[str], source: YamlSource) -> Iterator[Problem]:
    """Yield a problem for each model in service without a price that holds now. `embeddings` need no price of
    answers."""
    now_ms = time.time_ns() // 1_000_000
    listed = [item.get("model_name") for item in source.data["model_list"]]
    for name, model in models.items():
        price = model.price_at(now_ms)
        if price is not None and price.has_rates(answers=name not in embeddings):
            continue
        what = f"the model '{name}' has no price"
        if price is not None:
            unsaid = "answers" if price.has_input else "prompts"
            what = f"the price of the model '{name}' does not say what {unsaid} cost"
        elif model.prices:
            what = f"the model '{name}' has no price before {model.prices[0].version}"
        fix = f"write one under scalix.prices.models.{name}, or input_cost_per_token and output_cost_per_token in its "
        where = ("model_list", listed.index(name))
        yield source.problem(where, what, f"{fix}model_info (0 where it is free)")
