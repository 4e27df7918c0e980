"""Checks that the routes in a config file lead to models that their tiers may use."""

from collections.abc import Collection, Iterator

from scalix.domain.model_names import permits
from scalix.domain.model_routes import CONDITIONS
from scalix.launch.config.name_checks import is_named, model_names, remedy
from scalix.launch.config.yaml_source import Step, YamlSource
from scalix.launch.problems import Problem, nearest

_ROUTES = ("scalix", "routes")


def route_problems(source: YamlSource, aliases: Collection[str]) -> Iterator[Problem]:
    """Yield a problem for each route that is called as a model is, names a tier or a model that does not exist or that
    the tier may not use, or has rules that never decide or that may leave a request without one."""
    models = model_names(source)
    tiers = [str(name) for name in source.mapping("scalix", "tiers")]
    for name in source.mapping(*_ROUTES):
        steps = (*_ROUTES, name)
        if name in aliases or is_named(str(name), models):
            yield source.problem(steps, f"the route '{name}' is called as a model is", "give it another name")
        for tier in source.mapping(*steps):
            if str(tier) not in tiers:
                what = f"the route '{name}' names the tier '{tier}', which is not in scalix.tiers"
                guess = nearest(str(tier), tiers)
                yield source.problem((*steps, tier), what, f"write {guess}" if guess else "add the tier, or remove it")
                continue
            yield from _of_rules(source, (*steps, tier), models)


def _of_rules(source: YamlSource, steps: tuple[Step, ...], models: list[str]) -> Iterator[Problem]:
    name, tier = steps[-2:]
    written = source.at(steps)
    rules = written if isinstance(written, list) else [written]
    allowed = [one for one in source.listed("scalix", "tiers", tier, "models") if isinstance(one, str)]
    for index, rule in enumerate(rules):
        if not isinstance(rule, dict):
            continue
        place = (*steps, index) if isinstance(written, list) else steps
        is_last, is_open = index == len(rules) - 1, not any(key in CONDITIONS for key in rule)
        if is_last and not is_open:
            what = f"the last rule of '{name}' for tier '{tier}' has conditions, and other requests would have no model"
            yield source.problem(place, what, "add a rule after it that has models only")
        if is_open and not is_last:
            what = f"the rules of '{name}' for tier '{tier}' go on after one without conditions, and never decide"
            yield source.problem(place, what, "move it to the end, or give it a condition")
        targets = rule.get("models")
        for model in targets if isinstance(targets, list | dict) else ():
            where = (*place, "models")
            if not is_named(str(model), models):
                what = f"the route '{name}' names the model '{model}', which model_list does not have"
                yield source.problem(where, what, remedy(str(model), models))
            elif not permits(tuple(allowed), str(model)):
                what = f"the route '{name}' leads tier '{tier}' to '{model}', which it may not use"
                yield source.problem(where, what, f"remove it there, or add it to the models of tier '{tier}'")
