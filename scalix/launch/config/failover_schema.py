"""The shape of `scalix.fallbacks`, `scalix.retries` and `scalix.cooldown`, and whether the names in them fit."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BeforeValidator

from scalix.domain import fallbacks
from scalix.domain.model_names import filled_in
from scalix.launch.config.schema_base import Section, wrong
from scalix.launch.config.yaml_source import YamlSource
from scalix.launch.problems import Problem, nearest


def _between(least: int, most: int, usual: int) -> BeforeValidator:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise wrong(f"is not a whole number from {least} to {most}", f"write a number such as {usual}")
        return value

    return BeforeValidator(check)


def _chain(value: Any) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise wrong("is not a list of models", "write for example [gemini-pro, free-gemini-flash], or remove the key")
    return value


Chain = Annotated[list[str], BeforeValidator(_chain)]


class RetriesSection(Section):
    """How often a request is tried, and for how long. `same_model` may also stand in `litellm_settings.num_retries`."""

    same_model: Annotated[int, _between(0, 10, fallbacks.DEFAULT_SAME_MODEL)] | None = None
    models: Annotated[int, _between(1, 10, fallbacks.DEFAULT_MODELS)] = fallbacks.DEFAULT_MODELS
    first_byte_s: Annotated[int, _between(1, 3600, fallbacks.DEFAULT_FIRST_BYTE_S)] = fallbacks.DEFAULT_FIRST_BYTE_S
    whole_answer_s: Annotated[int, _between(1, 3600, fallbacks.DEFAULT_WHOLE_ANSWER_S)] = (
        fallbacks.DEFAULT_WHOLE_ANSWER_S
    )


class CooldownSection(Section):
    """The cooldown of a failing model: how long it gets no requests. `seconds: 0` switches it off."""

    failures: Annotated[int, _between(1, 1000, fallbacks.DEFAULT_FAILURES)] = fallbacks.DEFAULT_FAILURES
    within_s: Annotated[int, _between(1, 3600, fallbacks.DEFAULT_WITHIN_S)] = fallbacks.DEFAULT_WITHIN_S
    seconds: Annotated[int, _between(0, 3600, fallbacks.DEFAULT_COOLDOWN_S)] = fallbacks.DEFAULT_COOLDOWN_S
    longest_s: Annotated[int, _between(1, 86_400, fallbacks.DEFAULT_LONGEST_S)] = fallbacks.DEFAULT_LONGEST_S


def fallback_problems(source: YamlSource, chains: Any, models: Sequence[str]) -> Iterable[Problem]:
    """Names in `scalix.fallbacks` that `model_list` does not have, and chains that name a model twice or themselves."""
    if not isinstance(chains, dict) or not models:
        return
    for asked, chain in chains.items():
        steps = ("scalix", "fallbacks", asked)
        if not any(asked == model or filled_in(model, str(asked)) is not None for model in models):
            what = f"scalix.fallbacks names the model '{asked}', which model_list does not have"
            yield Problem(source.where(steps), what, _fix(str(asked), models))
        seen: set[str] = set()
        for index, name in enumerate(chain if isinstance(chain, list) else ()):
            where = source.where((*steps, index))
            if not isinstance(name, str):
                continue
            if name == asked:
                yield Problem(where, f"the fallbacks of '{asked}' name '{asked}' itself", "remove it from its own list")
            elif name in seen:
                yield Problem(where, f"the fallbacks of '{asked}' name '{name}' twice", "remove one of the two")
            elif not any(name == model or filled_in(model, name) is not None for model in models):
                what = f"the fallbacks of '{asked}' name '{name}', which model_list does not have"
                yield Problem(where, what, _fix(name, models))
            seen.add(name)


def _fix(name: str, models: Sequence[str]) -> str:
    guessed = nearest(name, models)
    return f"write {guessed}, or add the model" if guessed else "add the model to model_list, or remove the name"
