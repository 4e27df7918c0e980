"""Notes in an exchange what a provider has stated, for the attempt that it was asked in."""

import logging

import httpx

from scalix.litellm_adapter.provider_answers import ProviderAnswer
from scalix.service.exchange.attempts import Attempt
from scalix.service.exchange.exchanges import Exchange

log = logging.getLogger("scalix.provider")


def content_of(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        return b""


def note(answer: ProviderAnswer, attempt: Attempt) -> None:
    seen = attempt.seen
    seen.states_usage, seen.usage, seen.prompt_tokens = answer.usage is not None, answer.usage, answer.prompt_tokens


def has_answered(answer: ProviderAnswer) -> bool:
    """Whether something was generated: what is empty is a failure, whatever it states."""
    return answer.usage is not None and answer.usage.completion_tokens > 0


def warn_of_nonsense(answer: ProviderAnswer, exchange: Exchange) -> None:
    if answer.nonsense:
        log.warning("request %s: the usage that the provider states can't be true", exchange.admission.request_id)
