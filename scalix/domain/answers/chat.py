"""Answers and chunks of OpenAI's chat completions and completions as its description has them.

LiteLLM leaves out nulls that are required, puts what it does not know (a refusal) where nobody looks for it, and gives
the usage of a stream a choice. Objects are changed in place.

Source: https://github.com/openai/openai-openapi
"""

from collections.abc import Iterator, Mapping
from typing import Any

from scalix.domain.answers.usage_details import without_null_details

_ELSEWHERE = "provider_specific_fields"  # LiteLLM's


def complete_chat(answer: dict[str, Any]) -> None:
    """Complete a whole chat answer."""
    for choice in _choices(answer):
        choice.setdefault("logprobs", None)
        _complete_choice(choice)
        message = choice.get("message")
        if isinstance(message, dict):
            _with_refusal(message)
            for name in [name for name, value in message.items() if value is None]:
                del message[name]
            message.setdefault("content", None)
            message.setdefault("refusal", None)
    _complete_head(answer)


def complete_text(answer: dict[str, Any]) -> None:
    """Complete a whole answer of the completions that are no chat."""
    for choice in _choices(answer):
        choice.setdefault("logprobs", None)
        _without_empty_fields(choice)
    _complete_head(answer)


class ChatChunks:
    """Completes the chunks of one streamed chat answer. `with_usage`: the client has asked for the usage; `several`:
    there is more than one choice, of which an engine may announce the first one only."""

    def __init__(self, *, with_usage: bool, several: bool = False) -> None:
        self._with_usage = with_usage
        self._several = several
        self._begun: set[Any] = set()
        self._finished: set[Any] = set()

    def complete(self, chunk: dict[str, Any]) -> None:
        """Complete one chunk."""
        usage = chunk.get("usage")
        choices = list(_choices(chunk))
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
        """The choices that a client has not seen the end of. `finishes`: how each has ended."""
        missing = [index for index in sorted(self._begun) if index in finishes and index not in self._finished]
        self._finished.update(missing)
        return [{"index": index, "delta": {}, "logprobs": None, "finish_reason": finishes[index]} for index in missing]


def _is_empty(choice: dict[str, Any]) -> bool:
    return not choice.get("finish_reason") and not any((choice.get("delta") or {}).values())


def _with_refusal(message: dict[str, Any]) -> None:
    elsewhere = message.get(_ELSEWHERE)
    if isinstance(elsewhere, dict) and "refusal" in elsewhere:
        refusal = elsewhere.pop("refusal")
        if message.get("refusal") is None and refusal is not None:
            message["refusal"] = refusal
    _without_empty_fields(message)


def _complete_choice(choice: dict[str, Any]) -> None:
    _without_empty_fields(choice)
    logprobs = choice.get("logprobs")
    if isinstance(logprobs, dict):
        logprobs.setdefault("content", None)
        logprobs.setdefault("refusal", None)


def _without_empty_fields(holder: dict[str, Any]) -> None:
    elsewhere = holder.get(_ELSEWHERE)
    if not isinstance(elsewhere, dict) or all(value is None for value in elsewhere.values()):
        holder.pop(_ELSEWHERE, None)


def _complete_head(answer: dict[str, Any]) -> None:
    if answer.get("system_fingerprint", "") is None:
        del answer["system_fingerprint"]
    if isinstance(answer.get("usage"), dict):
        without_null_details(answer["usage"])


def _choices(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    choices = answer.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict):
            yield choice
