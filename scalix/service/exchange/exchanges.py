"""The requests in flight: what was admitted, how the answer stands, and how it ended."""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

from scalix.domain.failures import ErrorClass
from scalix.domain.limits.quota import Charge, Outcome
from scalix.domain.requests.dropped import Dropped
from scalix.service.exchange.admission import Admission
from scalix.service.exchange.attempts import Attempt, Lifted
from scalix.service.exchange.endings import UNSERVED, Ending, Use, with_stated
from scalix.service.tracing.request_traces import RequestTrace


@dataclass(slots=True)
class Exchange:
    """One admitted request until it is settled.

    attempt: the one of now, at one model.
    dropped: fields of the client's that this model is not told.
    routed: the route that the client has named, and where it has led.
    tried: models that failed before the one that serves now.
    failed: the attempts that did, by their number: deployment, engine and class of the failure, as `name:engine:class`.
    by_chat: a deployment that is asked by chat completions, and not by responses.
    first_token_s: when the client had its first byte of a stream, by the monotonic clock.
    write_at_once: writes a part of a stream that has begun to the client, and says whether that could be done now.
    client_left: whether the client has gone; hung_up: whether its provider was left because of that.
    ending, charge: set once, by the settlement.
    trace: where it stands in a trace, if there are any.
    told_code: of the error that the client was told, if it was told one.
    """

    admission: Admission
    attempt: Attempt = field(default_factory=Attempt)
    dropped: Dropped = field(default_factory=Dropped)
    routed: str = ""
    tried: list[str] = field(default_factory=list)
    failed: dict[int, str] = field(default_factory=dict)
    by_chat: tuple[str, str] | None = None
    first_token_s: float | None = None
    write_at_once: Callable[[bytes], bool] = lambda part: False
    client_left: bool = False
    hung_up: bool = False
    ending: Ending | None = None
    charge: Charge | None = None
    trace: RequestTrace | None = None
    told_code: str = ""

    def begin_next(self) -> None:
        """Another model is about to be tried. What comes late of this one stays with it, where nobody looks."""
        lifted = None if self.attempt.lifted is None else Lifted()
        self.attempt = Attempt(self.attempt.number + 1, lifted=lifted)

    def note_failure(self, error: ErrorClass) -> None:
        """The attempt of now has failed of `error`."""
        attempt = self.attempt
        self.failed[attempt.number] = f"{self._asked_one()}:{attempt.engine or 'none'}:{error}"

    def _asked_one(self) -> str:
        """The name of the deployment that is asked now, or of a model that has no several."""
        attempt = self.attempt
        return attempt.deployment_id or attempt.model or attempt.served_model or self.admission.model

    def ended(
        self, outcome: Outcome, use: Use | None = None, *, served: str | None = None, error: ErrorClass | None = None
    ) -> Ending:
        """How it ends now.

        use: what is believed of the use, where that is not what LiteLLM has reported.
        served: the model that has answered, where that is not the one LiteLLM names.
        error: what it has failed of.
        """
        attempt = self.attempt
        use = use or Use(attempt.usage)
        if attempt.cache_hit and outcome is Outcome.SUCCESS:
            outcome = Outcome.CACHE_HIT
        return Ending(
            outcome,
            replace(use, usage=with_stated(use.usage, attempt.seen.usage), reported_nano_usd=attempt.cost_nano_usd),
            served or attempt.served_model or self.admission.model,
            error,
            tuple(self.tried),
            self.first_token_s,
            attempt.deployment_id,
            *self._served_by(outcome),
        )

    def _served_by(self, outcome: Outcome) -> tuple[str, str, tuple[str, ...]]:
        """The deployment and the engine that have answered, if they have, and the attempts that failed before."""
        if outcome in UNSERVED:
            return "", "", tuple(self.failed.values())
        before = tuple(text for number, text in self.failed.items() if number != self.attempt.number)
        return (self._asked_one(), engine, before) if (engine := self.attempt.engine) else ("", "", before)


CURRENT: ContextVar[Exchange | None] = ContextVar("scalix_exchange", default=None)
"""The exchange that the running task serves, for what is called through LiteLLM without a request of its own."""


class Exchanges(dict[str, Exchange]):
    """The requests of this process that are in flight, by id. Callbacks find theirs here."""

    def add(self, exchange: Exchange) -> None:
        """Make an exchange findable until it is removed."""
        self[exchange.admission.request_id] = exchange

    def remove(self, exchange: Exchange) -> None:
        """Forget an exchange."""
        self.pop(exchange.admission.request_id, None)
