"""Rules for retries and fallbacks: which models may serve a request, in which order, and for how long."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from scalix.domain.failures import HANDLING, ErrorClass

LONGEST_RETRY_WAIT_S = 5
"""A provider that asks for more before the same request is not asked again: it is for the client to wait so long."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often a request is tried.

    `same_model`: how often the last model is asked again; a model with others after it is asked again once at most.
    `models`: how many are tried in all. The next model takes over if a stream has no first byte after `first_byte_s`,
    or a whole answer is not there after `whole_answer_s`; after that time no further model is tried.
    """

    same_model: int = 2
    models: int = 4
    first_byte_s: int = 30
    whole_answer_s: int = 300

    def within_s(self, *, streamed: bool) -> int:
        """How long all models but the last may take together, in seconds."""
        return self.first_byte_s if streamed else self.whole_answer_s


@dataclass(frozen=True, slots=True)
class Cooldown:
    """When a failing model is not asked for a while: for `seconds` after `failures` in a row within `within_s`, or as
    long as its provider asks, at most `longest_s`. With `seconds` of 0 there is no cooldown."""

    failures: int = 3
    within_s: int = 30
    seconds: int = 30
    longest_s: int = 600


def may_serve(
    asked: str,
    fallbacks: Mapping[str, Sequence[str]],
    in_service: Collection[str],
    allows: Callable[[str], bool],
    most: int,
) -> tuple[str, ...]:
    """The models that may serve a request for `asked`, which comes first: at most `most`, each once, in service, and
    allowed to the caller (`allows`). The fallbacks of a fallback are not followed."""
    found = [asked]
    for name in fallbacks.get(asked, ()):
        if len(found) >= most:
            break
        if name not in found and name in in_service and allows(name):
            found.append(name)
    return tuple(found)


def takes_over(error: ErrorClass, failed_input_tokens: int | None, next_input_tokens: int | None) -> bool:
    """Whether another model may take over after `error`. The figures are the largest prompts of both in tokens, `None`
    if unknown: a request that was too long for one model is not given to one with the same limit."""
    if error is ErrorClass.CONTEXT_TOO_LONG and failed_input_tokens is not None and next_input_tokens is not None:
        return next_input_tokens > failed_input_tokens
    return HANDLING[error].falls_back
