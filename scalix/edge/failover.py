"""The models that may serve one request, one after the other."""

import math
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from scalix.domain.deployments import Deployment
from scalix.domain.errors import BadRequest
from scalix.domain.failures import REFUSALS, ErrorClass
from scalix.domain.fallbacks import takes_over
from scalix.domain.policy import Model
from scalix.domain.prices.plain_requests import has_plain_price
from scalix.domain.requests.documents import needs_texts, refusal_of_documents, with_texts
from scalix.domain.requests.dropped import Dropped
from scalix.domain.requests.model_fields import EVERYTHING, KnownFields, refusal_of_unknown, told
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.output_cap import CAP_FIELDS, OutputRequest, output_request
from scalix.edge.provider_errors import Failed
from scalix.service.deployments.chooser import Chooser, Start, no_conversation
from scalix.service.deployments.load import Taken
from scalix.service.exchange.candidates import Candidates, at_limit
from scalix.service.exchange.exchanges import Exchange


@dataclass(frozen=True, slots=True)
class Fields:
    """What is known of a request's fields: what each model can be told, which of them are not of the route's API, and
    what was left out for all."""

    known: KnownFields = lambda model, route: EVERYTHING
    extras: Collection[str] = ()
    dropped: Dropped = field(default_factory=Dropped)


class Attempts:
    """The attempts of one admitted request. `clock` gives seconds, monotonic; `start` how its conversation begins."""

    def __init__(
        self,
        candidates: Candidates,
        chooser: Chooser,
        exchange: Exchange,
        fields: Fields,
        start: Start = no_conversation,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._start = start
        self._retries = candidates.retries
        self._chooser = chooser
        self._cooldowns = chooser.cooldowns
        self._exchange = exchange
        self._body = exchange.admission.call.body  # with its output cap
        self._clock = clock
        self._fields = fields
        self._began_s = self._asked_s = clock()
        self._is_probe = candidates.is_probe
        self._subject = str(exchange.admission.caller.subject)
        self._largest_failed_tokens: int | None = None
        self._asked_anew = False
        self.gave_up_waiting = False  # whether the attempt was ended by us, for want of a first byte
        self._prompt_tokens = exchange.admission.receipt.prompt_tokens
        self._taken: Taken | None = None  # of the limits of the deployment that is asked now
        models = candidates.models or (Model(exchange.admission.model, ""),)
        if not self._is_probe:  # nor was any of them full when they were found
            models = tuple(model for model in models if not chooser.is_full(model))
            if not models:
                raise at_limit(exchange.admission.model, max(1, math.ceil(chooser.load.minute_left_s())))
        if models[0].name != exchange.admission.model:  # which cools down
            models = tuple(model for model in models if self._can_answer(model)) or models
        self._left: Sequence[Model] = models[1:]
        # Of several deployments, the one that keeps what the request names: LiteLLM knows.
        self._is_bound = exchange.admission.call.named.any
        self._tried: set[str] = set()  # deployments of any model
        self._is_last_chance = False  # whether nothing may be tried after this
        self.model = models[0]
        self.deployment = self._probed() if self._is_probe else self._chosen(models[0])

    def body(self) -> dict[str, Any]:
        """The body for the model that is to be tried now: what it does not know is left out, and said."""
        exchange, model = self._exchange, self.model
        self._body["model"] = model.name
        known = self._fields.known(model.name, exchange.admission.route)
        request = told(self._body, known, self._fields.extras)
        exchange.dropped = self._fields.dropped.and_(request.dropped)
        body = request.body
        if needs_texts(exchange.admission.route, (self.deployment or model).provider_model):
            body = with_texts(body)
        body["num_retries"] = self._retries_of_the_same()
        if model.name != exchange.admission.model:
            self._cap(body, model)
        return body

    def patience_s(self, *, has_begun: bool = False) -> float | None:
        """How long the model may take to its first byte; `None` if no other would take over. `has_begun`: it streams,
        and has said nothing yet, as one that thinks: then as long as a whole answer may take."""
        if not self._left and not self._others():
            return None
        within_s = self._retries.within_s(streamed=self._exchange.admission.streamed and not has_begun)
        return max(0.0, self._began_s + within_s - self._clock())

    def go_on(self, failure: Failed | None) -> bool:
        """Take note of what has become of `model`. Whether another one is to be asked then, or the same by another way:
        it is `model` from then on. `None`: it has not failed."""
        exchange, failed = self._exchange, self.model.name
        if failure is None:
            if not exchange.client_left:
                self._answered()
            return False
        if exchange.ending is not None:  # its stream had begun
            self._note_failure(failure)
            return False
        if exchange.client_left:
            return False
        if failure.asks_anew and not self._asked_anew:
            self._asked_anew = True
            return True
        goes_on = self._find_next(failure)
        if exchange.tried if not goes_on else self.model.name != failed:
            exchange.tried.append(failed)
        return goes_on

    def _chosen(self, model: Model) -> Deployment | None:
        """The deployment of `model` that is tried now, if it has several and one of them is left."""
        if self._is_bound or not model.deployments:
            return self._noted(None, model)
        chosen = self._chooser.choose(model, self._subject, self._tried, self._start, self._prompt_tokens)
        return self._noted(chosen, model)

    def _probed(self) -> Deployment | None:
        return self._noted(next(iter(self.model.deployments), None), self.model)

    def _noted(self, chosen: Deployment | None, model: Model) -> Deployment | None:
        if chosen is not None:
            self._tried.add(chosen.id)
        asked = chosen if model.deployments else model
        self._taken = None if asked is None else self._chooser.load.take(asked, self._prompt_tokens)
        return chosen

    @contextmanager
    def under_way(self) -> Iterator[None]:
        """While the block runs, the deployment has this request to answer."""
        self._asked_s = self._clock()
        with self._chooser.load.asked(self._exchange.attempt.deployment_id):
            yield

    def _others(self) -> bool:
        """Whether another deployment of the same model may be tried after this one."""
        if self.deployment is None or self._is_probe or self._is_last_chance:
            return False
        return bool(self._chooser.fit(self.model, self._subject, self._tried))

    def _retries_of_the_same(self) -> int:
        """How often an engine may ask again by itself."""
        if self._others():
            return 0
        return min(self._retries.same_model, 1) if self._left else self._retries.same_model

    def _find_next(self, failure: Failed) -> bool:
        failed, is_first = self.model, not self._exchange.tried
        self._note_failure(failure)
        if failure.is_last or (failure.error_class is ErrorClass.BAD_REQUEST and is_first):
            return False
        if self.patience_s() == 0 and not self.gave_up_waiting:
            return False
        if failure.error_class is ErrorClass.CONTEXT_TOO_LONG and failed.max_input_tokens is not None:
            self._largest_failed_tokens = max(self._largest_failed_tokens or 0, failed.max_input_tokens)
        # What has taken all the time leaves none for more than one.
        is_last_chance, self.gave_up_waiting = self.gave_up_waiting, False
        if self._others() and self._may_serve_instead(failure.error_class, failed):
            self.deployment = self._chosen(failed)
            self._is_last_chance = is_last_chance
            self._left = () if is_last_chance else self._left
            return True
        for position, model in enumerate(self._left):
            if self._may_take_over(failure.error_class, model):
                self._left = () if is_last_chance else self._left[position + 1 :]
                self._is_last_chance = is_last_chance
                self.model = model
                self.deployment = self._chosen(model)
                return True
        return False

    def _answered(self) -> None:
        """The model has answered."""
        attempt, first_s = self._exchange.attempt, self._exchange.first_token_s
        usage = attempt.usage or attempt.seen.usage
        self._used(usage.total_tokens if usage else self._prompt_tokens)
        if attempt.deployment_id and not attempt.cache_hit:
            seconds = (self._clock() if first_s is None else first_s) - self._asked_s
            self._chooser.load.answered(attempt.deployment_id, seconds)
        self._cooldowns.succeeded(self._key, self._subject, was_probe=self._is_probe)

    def _used(self, tokens: int) -> None:
        if self._taken is not None:
            self._chooser.load.used_up(self._taken, tokens)

    @property
    def _key(self) -> str:
        """By what cooldowns know whom the attempt of now has asked."""
        return self._exchange.attempt.deployment_id or self.model.name

    def _note_failure(self, failure: Failed) -> None:
        """The model has failed, in whichever way."""
        self._used(0)
        if failure.blames_model and not (self.gave_up_waiting and self._is_excused()):
            self._cooldowns.failed(self._key, self._subject, failure.retry_after_s, is_everybodys=failure.is_everybodys)
        elif not self._exchange.attempt.asked:
            if self._is_probe:
                self._cooldowns.not_probed(self._key, self._subject)
        elif failure.error_class in REFUSALS or self._exchange.attempt.seen.answered_whole:
            self._answered()

    def _is_excused(self) -> bool:
        """Whether a model that we gave up waiting for may have done its best: what it had was the rest of another's
        time, or it has begun to answer and thinks, or it waits for what the client has named to be fetched."""
        attempt = self._exchange.attempt
        return attempt.number > 1 or attempt.hang_up is not None or not has_plain_price(self._body)

    def _may_take_over(self, error: ErrorClass, model: Model) -> bool:
        if self._chooser.wait_s(model, self._subject) > 0 or not self._can_answer(model):
            return False
        return self._may_serve_instead(error, model)

    def _may_serve_instead(self, error: ErrorClass, model: Model) -> bool:
        # What a fallback finds wrong may be right for the next model.
        if error is ErrorClass.BAD_REQUEST:
            return model is not self.model
        return takes_over(error, self._largest_failed_tokens, model.max_input_tokens)

    def _can_answer(self, model: Model) -> bool:
        """Whether `model` knows what matters, and its largest answer leaves room beside the thinking budget."""
        known = self._fields.known(model.name, self._exchange.admission.route)
        if refusal_of_unknown(model.name, self._body, known) is not None:
            return False
        if documents_refused(self._exchange.admission.route, model, self._body) is not None:
            return False
        return self._wanted.min_tokens <= self._cap_tokens(model)

    @cached_property
    def _wanted(self) -> OutputRequest:
        return output_request(self._exchange.admission.route, self._body)

    def _cap_tokens(self, model: Model) -> int:
        granted = self._exchange.admission.receipt.output_cap_tokens
        return granted if model.max_output_tokens is None else min(granted, model.max_output_tokens)

    def _cap(self, body: dict[str, Any], model: Model) -> None:
        for name in CAP_FIELDS & body.keys():
            body[name] = self._cap_tokens(model)


def documents_refused(route: Route, model: Model, body: dict[str, Any]) -> BadRequest | None:
    """The error for a request with a document that `model` can't be given; `None` if there is none."""
    return refusal_of_documents(model.name, body) if needs_texts(route, model.provider_model) else None
