"""What failed, by provider, model and class: requests that ended so, and attempts, whether or not another served."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from scalix.domain.ledger.deployment_sums import UNCLASSIFIED, DeploymentSums
from scalix.domain.ledger.ledger import Aggregate
from scalix.domain.policy import Policy
from scalix.service.usage.sums import summed

COLUMNS = ("provider", "model", "error", "errors", "events", "error_rate", "failed_attempts")
# A provider's failure whose class nobody has told is one all the same.
_FAILED = frozenset({"provider_failed", "provider_broke", "provider_refused"})

Table = tuple[tuple[str, ...], list[dict[str, Any]], dict[str, Any] | None]


def errors_table(aggregates: list[Aggregate], deployments: Iterable[DeploymentSums], policy: Policy) -> Table:
    """Rows of `COLUMNS`, the most frequent first. `errors` of `events` are requests that ended so; `failed_attempts`
    are by the sums of deployments, whose providers and models are those that `policy` has them at."""
    failed = (one for one in aggregates if error_of(one))
    of_class = summed(failed, lambda one: (one.provider, one.model, error_of(one)))
    of_model = summed(aggregates, lambda one: (one.provider, one.model))
    # Of a model that is out of service the books alone know where it was.
    known = {model: (provider, model) for provider, model in of_model}
    attempts = _attempts(deployments, known | _places(policy))
    rows: list[dict[str, Any]] = []
    for provider, model, error in of_class.keys() | attempts.keys():
        ended, of_all = of_class.get((provider, model, error)), of_model.get((provider, model))
        errors, events = ended.events if ended else 0, of_all.events if of_all else 0
        values = (provider, model, error, errors, events, rate(errors, events), attempts[provider, model, error])
        rows.append(dict(zip(COLUMNS, values, strict=True)))
    rows.sort(key=lambda row: (-row["errors"], -row["failed_attempts"], *(row[name] for name in COLUMNS[:3])))
    errors, events = sum(row["errors"] for row in rows), sum(sums.events for sums in of_model.values())
    total = {"errors": errors, "events": events, "error_rate": rate(errors, events)}
    return COLUMNS, rows, {**total, "failed_attempts": attempts.total()}


def error_of(one: Aggregate) -> str:
    """The class of what went wrong; empty where nothing did."""
    return one.error or (UNCLASSIFIED if one.outcome in _FAILED else "")


def rate(part: int, whole: int) -> float:
    """A share of one."""
    return round(part / whole, 6) if whole else 0.0


def _places(policy: Policy) -> dict[str, tuple[str, str]]:
    """The provider and the model of each deployment, by its id."""
    return {
        way.id: (way.provider, model.name)
        for model in (*policy.models.values(), *policy.wildcards.values())
        for way in model.ways
    }


def _attempts(
    deployments: Iterable[DeploymentSums], places: Mapping[str, tuple[str, str]]
) -> Counter[tuple[str, str, str]]:
    """Failed attempts by provider, model and class."""
    found: Counter[tuple[str, str, str]] = Counter()
    for sums in deployments:
        provider, model = places.get(sums.deployment, ("", sums.deployment))
        for error, number in sums.errors.items():
            found[provider, model, error] += number
    return found
