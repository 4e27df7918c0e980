"""Checks of deployments that are made without being asked: which, how often, and what the last ones have found."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

FALLS = 2
"""So many checks in a row that failed, and a deployment is taken out."""
RECHECK_S = 10
"""How soon one that does not answer, or rests, is checked again."""


@dataclass(frozen=True, slots=True)
class HealthChecks:
    """`interval_s` is the time between two checks of one; with 0 there are none. `timeouts_s`: how long each that is
    checked may take, by its id, or by the name of a model that has no several."""

    interval_s: int = 0
    timeouts_s: Mapping[str, int] = field(default_factory=dict)

    @property
    def recheck_s(self) -> int:
        """How soon one that is not well is checked again."""
        return min(RECHECK_S, self.interval_s)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one check has found: whether the deployment fails, and why, or what else there is to say, in words without
    anything of the provider's."""

    is_failing: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """The last check of a deployment: how many in a row have failed, at which Unix time (ms) the last was, and what it
    found."""

    name: str
    fails: int
    at_ms: int
    reason: str = ""

    @property
    def is_failing(self) -> bool:
        """Whether it has failed often enough to count."""
        return self.fails >= FALLS


def left_out(names: Collection[str], checked: Mapping[str, Checked]) -> frozenset[str]:
    """Which deployments of a model, by their names, are taken out by what their checks have found. Never all of them:
    then asking is better than refusing everybody, since a check may be wrong, or what it asks."""
    failing = frozenset(name for name in names if name in checked and checked[name].is_failing)
    return failing if len(failing) < len(names) else frozenset()
