"""How long a stop waits, and for what."""

from collections.abc import Mapping
from dataclasses import dataclass

DRAIN_VARIABLE = "SCALIX_DRAIN_S"
# What the requests in flight have, if the operator does not say otherwise: where one tries things nobody wants to
# wait, elsewhere the longest stream of an agent is to end by itself.
DEVELOPMENT_DRAIN_S = 6
DRAIN_S = 900
MOST_DRAIN_S = 86_400
# A load balancer that looks every second or two, and believes what it has seen twice, has seen it by then.
NOTICE_S = 5.0
# What is cut is settled as cut, and the app shuts down. The kernel ends a worker that takes longer.
AFTER_CUT_S = 2.0
# The same for the app alone, where all requests have been answered.
APP_END_S = 5.0


@dataclass(frozen=True, slots=True)
class Patience:
    """Times of a worker's end, in seconds.

    notice_s: how long it goes on taking requests after its readiness has gone, so that load balancers can see that.
    drain_s: how long requests in flight may run on, from the signal.
    retire_s: the same for a worker that another one replaces, and that holds nobody up.
    """

    notice_s: float
    drain_s: float
    retire_s: float


# Without the launcher there is no store of its own either, and the next start waits for this worker.
OF_AN_ORPHAN = Patience(0, DEVELOPMENT_DRAIN_S, DEVELOPMENT_DRAIN_S)


def default_drain_s(scalix_env: str) -> int:
    return DEVELOPMENT_DRAIN_S if scalix_env == "development" else DRAIN_S


def patience_of(environment: Mapping[str, str]) -> Patience:
    """The times of a worker with the variables that the launcher has set."""
    scalix_env = environment.get("SCALIX_ENV", "development")
    drain_s = float(environment.get(DRAIN_VARIABLE) or default_drain_s(scalix_env))
    notice_s = 0.0 if scalix_env == "development" else min(NOTICE_S, drain_s)
    return Patience(notice_s, drain_s, max(DRAIN_S, drain_s))
