"""Reads a provider's whole answer, and notes in an attempt what an answer says of itself."""

import logging

import orjson

from scalix.domain.answers.provider_answers import ProviderAnswer
from scalix.domain.answers.refusals import Refusals
from scalix.domain.json_codec import JsonCodec
from scalix.domain.requests.routes import Route
from scalix.service.exchange.admission import Admission
from scalix.service.exchange.attempts import Attempt

log = logging.getLogger("scalix.provider")

CODEC = JsonCodec(orjson.loads, orjson.dumps)
_OK = 200


def read_whole(body: bytes, admission: Admission, attempt: Attempt) -> tuple[int, bytes]:
    """The HTTP status that an answer of status 200 should have had, and its body as an engine should read it. What it
    states is noted in `attempt`."""
    refusals, answer = Refusals(admission.route), ProviderAnswer(CODEC, attempt.hear)
    status, mended = answer.whole(body, refusals, is_translated=admission.route is not Route.MESSAGES)
    attempt.refused = refusals.is_all
    note_usage(answer, attempt)
    if status == _OK and has_answered(answer):
        attempt.seen.answered_whole = True
    warn_of_nonsense(answer, admission)
    return status, mended


def note_usage(answer: ProviderAnswer, attempt: Attempt) -> None:
    """Note what `answer` has stated so far."""
    seen = attempt.seen
    seen.states_usage, seen.usage, seen.prompt_tokens = answer.usage is not None, answer.usage, answer.prompt_tokens


def has_answered(answer: ProviderAnswer) -> bool:
    """Whether something was generated: what is empty is a failure, whatever it states."""
    return answer.usage is not None and answer.usage.completion_tokens > 0


def warn_of_nonsense(answer: ProviderAnswer, admission: Admission) -> None:
    """Tell the log of figures that can't be true."""
    if answer.nonsense:
        log.warning("request %s: the usage that the provider states can't be true", admission.request_id)
