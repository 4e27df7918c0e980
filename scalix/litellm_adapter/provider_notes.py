"""Notes in an exchange what a provider has stated, for the attempt that it was asked in."""

import logging

import httpx

from scalix.litellm_adapter.provider_answers import ProviderAnswer
from scalix.service.exchange.exchanges import Exchange

log = logging.getLogger("scalix.provider")


def content_of(request: httpx.Request) -> bytes:
    try:
        return request.content
    except httpx.RequestNotRead:
        return b""


def forget_answer(exchange: Exchange) -> None:
    """Whatever is asked now answers anew, maybe in a format that nobody reads here."""
    exchange.answered_whole, exchange.sent = False, b""
    exchange.provider_error = None
    exchange.usage_is_providers = None
    exchange.provider_usage = None
    exchange.provider_prompt_tokens = None


def note(answer: ProviderAnswer, exchange: Exchange, attempt: int) -> None:
    if exchange.attempt != attempt:
        return  # it has been given up
    exchange.usage_is_providers = answer.usage is not None
    exchange.provider_usage = answer.usage
    exchange.provider_prompt_tokens = answer.prompt_tokens


def has_answered(answer: ProviderAnswer) -> bool:
    """Whether something was generated: what is empty is a failure, whatever it states."""
    return answer.usage is not None and answer.usage.completion_tokens > 0


def warn_of_nonsense(answer: ProviderAnswer, exchange: Exchange) -> None:
    if answer.nonsense:
        log.warning("request %s: the usage that the provider states can't be true", exchange.request_id)
