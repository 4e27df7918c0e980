"""Completes answers and chunks of OpenAI's chat completions and completions, so that they match its description.

LiteLLM omits nulls that are required, puts what it does not know (a refusal) under a name of its own, and adds a choice
to the chunk that brings a stream's usage. Objects are changed in place.

Source: https://github.com/openai/openai-openapi
"""

from collections.abc import Mapping
from typing import Any

from scalix.domain.answers.fields import with_nulls, without_null_details, without_nulls
from scalix.domain.json_values import mapped, objects

_ELSEWHERE = "provider_specific_fields"  # LiteLLM's
_NULLABLE = ("content", "refusal")  # of a message, and of log probabilities


def complete_chat(answer: dict[str, Any]) -> None:
    """Complete a whole chat answer."""
    for choice in objects(answer.get("choices")):
        choice.setdefault("logprobs", None)
        _complete_choice(choice)
        message = choice.get("message")
        if isinstance(message, dict):
            _with_refusal(message)
            without_nulls(message)
            with_nulls(message, _NULLABLE)
    _complete_head(answer)


def complete_text(answer: dict[str, Any]) -> None:
    """Complete a whole answer of completions, the API before chat."""
    for choice in objects(answer.get("choices")):
        choice.setdefault("logprobs", None)
        _without_empty_fields(choice)
    _complete_head(answer)


class ChatChunks:
    """Completes the chunks of one streamed chat answer. `with_usage`: the client asked for the usage. `several`: there
    is more than one choice, of which LiteLLM may announce only the first."""

    def __init__(self, *, with_usage: bool, several: bool = False) -> None:
        self._with_usage = with_usage
        self._several = several
        self._begun: set[Any] = set()
        self._finished: set[Any] = set()

    def complete(self, chunk: dict[str, Any]) -> None:
        """Complete one chunk."""
        usage = chunk.get("usage")
        choices = objects(chunk.get("choices"))
        if usage is None:
            if self._with_usage:
                chunk["usage"] = None
        elif len(choices) == 1 and _is_empty(choices[0]):
            chunk["choices"] = choices = []
        _complete_head(chunk)
        for choice in choices:
            choice.setdefault("finish_reason", None)
            _complete_choice(choice)
            delta = choice.setdefault("delta", {})
            if isinstance(delta, dict):
                _with_refusal(delta)
            if self._several:
                self._note(choice, delta)

    def _note(self, choice: dict[str, Any], delta: Any) -> None:
        index = choice.get("index")
        if index not in self._begun and isinstance(delta, dict):
            self._begun.add(index)
            delta.setdefault("role", "assistant")
        if choice["finish_reason"] is not None:
            self._finished.add(index)

    def unfinished(self, finishes: Mapping[int, str]) -> list[dict[str, Any]]:
        """The last chunks' choices that the client still has to see, where `finishes` holds how each choice ended."""
        missing = [index for index in sorted(self._begun) if index in finishes and index not in self._finished]
        self._finished.update(missing)
        return [{"index": index, "delta": {}, "logprobs": None, "finish_reason": finishes[index]} for index in missing]


def _is_empty(choice: dict[str, Any]) -> bool:
    return not choice.get("finish_reason") and not any((choice.get("delta") or {}).values())


def _with_refusal(message: dict[str, Any]) -> None:
    elsewhere = mapped(message.get(_ELSEWHERE))
    if "refusal" in elsewhere:
        refusal = elsewhere.pop("refusal")
        if message.get("refusal") is None and refusal is not None:
            message["refusal"] = refusal
    _without_empty_fields(message)


def _complete_choice(choice: dict[str, Any]) -> None:
    _without_empty_fields(choice)
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, dict):
        with_nulls(logprobs, _NULLABLE)


def _without_empty_fields(holder: dict[str, Any]) -> None:
    elsewhere = holder.get(_ELSEWHERE)
    if not isinstance(elsewhere, dict) or all(value is None for value in elsewhere.values()):
        holder.pop(_ELSEWHERE, None)


def _complete_head(answer: dict[str, Any]) -> None:
    if answer.get("system_fingerprint", "") is None:
        del answer["system_fingerprint"]
    if isinstance(answer.get("usage"), dict):
        without_null_details(answer["usage"])
