"""Answers to completions, the API before chat, of a provider that speaks OpenAI's format, made what clients know.

Of providers that are asked by chat completions the answers are chats: their messages become texts.
"""

from typing import Any

from scalix.domain.answers.passed_chat import PassedChat, known_finish, split_thoughts, with_reasoning_content

_THOUGHTS = "reasoning_content"
_OF_CALLS = ("tool_calls", "function_call")


class PassedCompletions(PassedChat):
    """One answer of a model, whole or chunk by chunk."""

    kind, kind_of_chunks, prefix = "text_completion", "text_completion", "cmpl-"

    def _complete_whole(self, choices: list[dict[str, Any]]) -> None:
        for choice in choices:
            if isinstance(message := choice.get("message"), dict):
                split_thoughts(message)
        self._complete_choices(choices)
        for choice in choices:
            choice["finish_reason"] = choice["finish_reason"] or "stop"

    def _complete_choices(self, choices: list[dict[str, Any]]) -> None:
        if not choices:
            choices.append({})  # who reads texts knows no chunk without one
        for position, choice in enumerate(choices):
            given = choice.get("index")
            choice["index"] = given if type(given) is int else position
            for said in (choice.pop("message", None), choice.pop("delta", None)):
                if isinstance(said, dict):
                    _as_text(choice, said)
            if not isinstance(choice.get("text"), str):
                choice["text"] = ""
            finish = known_finish(choice.get("finish_reason"))
            choice["finish_reason"] = "stop" if finish in _OF_CALLS else finish


def _as_text(choice: dict[str, Any], said: dict[str, Any]) -> None:
    """What is said in a chat, as a text. Log probabilities of chats have another shape."""
    with_reasoning_content(said)
    choice["text"], choice["logprobs"] = said.get("content"), None
    if said.get(_THOUGHTS):
        choice[_THOUGHTS] = said[_THOUGHTS]
