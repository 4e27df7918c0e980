"""What deployments have done, in figures: read off the requests that have ended, with their failed attempts."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from scalix.domain.ledger.ledger import name_of, name_word
from scalix.domain.limits.quota import Charge, Outcome

UNCLASSIFIED = "unclassified"
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

    def failed(self, error: str) -> None:
        """One attempt has failed of `error`."""
        self.add(_ERROR + error, 1)

    def add(self, figure: str, number: int) -> None:
        """Add to one of the figures, by its name in the store. One that nobody knows is of a newer version."""
        if figure.startswith(_ERROR):
            error = figure.removeprefix(_ERROR)
            self.errors[error] = self.errors.get(error, 0) + number
        elif figure in _FIGURES:
            setattr(self, figure, getattr(self, figure) + number)

    def figures(self) -> Iterator[tuple[str, int]]:
        """The figures that are not zero, by their names in the store."""
        place = f"{name_word(self.deployment)} {self.engine}"
        yield from ((f"{place} {figure}", number) for figure in _FIGURES if (number := getattr(self, figure)))
        yield from ((f"{place} {_ERROR}{error}", number) for error, number in self.errors.items())


_FIGURES = DeploymentSums.__slots__[2:-1]


def sums_by_name(figures: Iterable[tuple[str, int]]) -> list[DeploymentSums]:
    """The sums that figures of the store make, by their names there; ordered by deployment and engine."""
    found: dict[tuple[str, str], DeploymentSums] = {}
    for name, number in figures:
        word, engine, figure = name.split(" ")
        key = name_of(word), engine
        found.setdefault(key, DeploymentSums(*key)).add(figure, number)
    return [found[key] for key in sorted(found)]


def attempts_of(charge: Charge) -> Iterator[tuple[str, str, str]]:
    """The attempts of an ended request: at which deployment, for which engine, and of what it failed; empty where it
    answered. An answer that broke off is a failure too."""
    detail = charge.detail
    for failed in detail.failed_deployments:
        deployment, engine, error = failed.rsplit(":", 2)
        yield deployment, engine, error
    if detail.engine:
        broke = UNCLASSIFIED if charge.outcome is Outcome.PROVIDER_BROKE else ""
        yield detail.deployment, detail.engine, detail.error or broke


def count(charge: Charge, sums_of: Callable[[str, str], DeploymentSums]) -> None:
    """Add an ended request to the sums of those who were asked. `sums_of` finds them by deployment and engine."""
    detail = charge.detail
    for deployment, engine, error in attempts_of(charge):
        sums = sums_of(deployment, engine)
        sums.requests += 1
        if error:
            sums.failed(error)
    if not detail.engine:
        return
    sums = sums_of(detail.deployment, detail.engine)
    sums.prompt_tokens += detail.prompt_tokens
    sums.completion_tokens += detail.completion_tokens
    sums.cached_tokens += detail.cached_tokens
    sums.cost_nano_usd += detail.cost_nano_usd
    sums.charge_nano_usd += detail.charge_nano_usd
    if charge.outcome is Outcome.SUCCESS and not detail.error and not detail.failed_deployments:
        sums.timed += 1
        sums.latency_ms += detail.latency_ms
