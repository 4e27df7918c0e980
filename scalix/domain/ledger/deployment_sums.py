"""What deployments have done, in figures: read off the requests that have ended, with their failed attempts."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from scalix.domain.ledger.ledger import name_of, name_word
from scalix.domain.limits.quota import Charge, Outcome

UNCLASSIFIED = "unclassified"
_OF_CHARGE = (
    *("prompt_tokens", "completion_tokens", "cached_tokens"),
    *("cost_nano_usd", "charge_nano_usd"),
)
_ERROR = "error:"


@dataclass(slots=True)
class DeploymentSums:
    """What one deployment has done for one engine. `requests` are the attempts at it, `errors` those that failed, by
    class, whether or not another has served then. `timed` are the answers whose `latency_ms` is known."""

    deployment: str
    engine: str
    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    cost_nano_usd: int = 0
    charge_nano_usd: int = 0
    timed: int = 0
    latency_ms: int = 0
    errors: dict[str, int] = field(default_factory=dict)

    def add(self, figure: str, number: int) -> None:
        """Add to one of the figures, by its name in the store. One that nobody knows is of a newer version."""
        if figure.startswith(_ERROR):
            error = figure.removeprefix(_ERROR)
            self.errors[error] = self.errors.get(error, 0) + number
        elif figure in DeploymentSums.__slots__:
            setattr(self, figure, getattr(self, figure) + number)


def sums_by_name(figures: Iterator[tuple[str, int]]) -> list[DeploymentSums]:
    """The sums that figures of the store make, by their names there; ordered by deployment and engine."""
    found: dict[tuple[str, str], DeploymentSums] = {}
    for name, number in figures:
        word, engine, figure = name.split(" ")
        key = name_of(word), engine
        found.setdefault(key, DeploymentSums(*key)).add(figure, number)
    return [found[key] for key in sorted(found)]


def figures_of(charge: Charge, shown: Callable[[str], str]) -> Iterator[tuple[str, int]]:
    """What an ended request adds to the figures of deployments, by their names in the store. `shown` is what a name is
    summed under."""
    detail = charge.detail
    for failed in detail.failed_deployments:
        deployment, engine, error = failed.rsplit(":", 2)
        place = f"{name_word(shown(deployment))} {engine}"
        yield f"{place} requests", 1
        yield f"{place} {_ERROR}{error}", 1
    if not detail.engine:
        return
    place = f"{name_word(shown(detail.deployment))} {detail.engine}"
    yield f"{place} requests", 1
    for figure in _OF_CHARGE:
        if number := getattr(detail, figure):
            yield f"{place} {figure}", number
    if detail.error or charge.outcome is Outcome.PROVIDER_BROKE:
        yield f"{place} {_ERROR}{detail.error or UNCLASSIFIED}", 1
    elif charge.outcome is Outcome.SUCCESS and not detail.failed_deployments:
        yield f"{place} timed", 1
        yield f"{place} latency_ms", detail.latency_ms
