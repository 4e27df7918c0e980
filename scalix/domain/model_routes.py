"""Names that stand for a choice of models: each tier has rules of its own for them, and the first that fits decides."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, fields


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules can ask about a request. `None`: no rule asks, or nobody knows.

    tokens_day_left_percent: how much of the caller's tokens of the day is left; 100 where there is no such limit.
    """

    hour_utc: int
    tools: bool
    images: bool
    prompt_tokens: int | None = None
    tokens_day_left_percent: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """Models with their weights, and on which requests they serve: those that meet every condition that is given.

    hours_utc: from the first hour to before the second, over midnight where the first is the later one.
    """

    models: Mapping[str, int]
    prompt_tokens_over: int | None = None
    prompt_tokens_under: int | None = None
    tools: bool | None = None
    images: bool | None = None
    hours_utc: tuple[int, int] | None = None
    tokens_day_left_percent_under: int | None = None

    @property
    def conditions(self) -> tuple[str, ...]:
        """The names of the conditions that are given."""
        return tuple(name for name in CONDITIONS if getattr(self, name) is not None)

    def fits(self, facts: Facts) -> bool:
        """Whether a request of which this is known meets every condition. What nobody knows meets none."""
        size, left, hour = facts.prompt_tokens, facts.tokens_day_left_percent, facts.hour_utc
        over, under, percent = self.prompt_tokens_over, self.prompt_tokens_under, self.tokens_day_left_percent_under
        return (
            (over is None or (size is not None and size > over))
            and (under is None or (size is not None and size < under))
            and self.tools in (None, facts.tools)
            and self.images in (None, facts.images)
            and (self.hours_utc is None or _is_within(hour, *self.hours_utc))
            and (percent is None or (left is not None and left < percent))
        )


CONDITIONS = tuple(one.name for one in fields(Rule) if one.name != "models")
Rules = Sequence[Rule]


def asks_for(rules: Rules, *conditions: str) -> bool:
    """Whether any of the rules has one of these conditions."""
    return any(name in conditions for rule in rules for name in rule.conditions)


def chosen(
    rules: Rules, facts: Facts, usable: Callable[[str], bool], random: Callable[[], float]
) -> tuple[str, Rule] | None:
    """The model, by weight among the `usable` ones of the first rule that fits and has any, and that rule. `random`
    gives a number from 0 to below 1."""
    for rule in rules:
        weights = {name: weight for name, weight in rule.models.items() if usable(name)}
        if weights and rule.fits(facts):
            return _by_weight(weights, random() * sum(weights.values())), rule
    return None


def named_by(rules: Rules) -> Collection[str]:
    """All models of the rules, in their order."""
    return dict.fromkeys(name for rule in rules for name in rule.models)


def _by_weight(weights: Mapping[str, int], at: float) -> str:
    for name, weight in weights.items():
        at -= weight
        if at < 0:
            return name
    return next(reversed(list(weights)))  # by rounding


def _is_within(hour: int, start: int, end: int) -> bool:
    return start <= hour < end if start < end else hour >= start or hour < end
