"""Completes the chunks of streamed completions, the API before chat.

LiteLLM puts a usage of zeros into each of them, and the true one into a chunk of its own. The gateway always asks for
it, and removes it for a client that did not. Of the provider's choices LiteLLM keeps only the text of the first, so
they are collected here.
"""

from collections.abc import Callable
from typing import Any

from scalix.domain.answers.fields import with_nulls, without_null_details
from scalix.domain.json_values import mapped, objects

_LOST = ("choices", "system_fingerprint")


def complete_text_chunk(chunk: dict[str, Any], *, with_usage: bool) -> bool:
    """Complete a chunk, in place. Returns whether the client should get it: not if it only has a usage that the client
    did not ask for."""
    usage = chunk.pop("usage", None)
    counted = any(mapped(usage).get(name) for name in ("prompt_tokens", "completion_tokens"))
    choices = objects(chunk.get("choices"))
    if counted and not any(choice.get("text") or choice.get("finish_reason") for choice in choices):
        chunk["choices"] = choices = []
    if isinstance(usage, dict):
        without_null_details(usage)
    if with_usage:
        chunk["usage"] = usage if counted else None
    for choice in choices:
        complete_text_choice(choice)
    return bool(choices) or (with_usage and counted)


def complete_text_choice(choice: dict[str, Any]) -> None:
    """Complete a choice of a chunk, in place."""
    choice.setdefault("index", 0)
    choice.setdefault("text", "")
    with_nulls(choice, ("logprobs", "finish_reason"))


class TextChoices:
    """Collects what an engine loses of a provider's chunks, until the engine has read them."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []
        self.is_used = False

    def note(self, event: bytes, loads: Callable[[bytes], Any]) -> None:
        """Collect one event."""
        try:
            chunk = loads(event.strip().removeprefix(b"data:"))
        except ValueError:
            return
        choices = mapped(chunk).get("choices")
        if isinstance(choices, list) and choices and all(isinstance(choice, dict) for choice in choices):
            for choice in choices:
                complete_text_choice(choice)
            kept = {name: chunk[name] for name in _LOST if chunk.get(name) is not None}
            if not (self._waiting and _joined(self._waiting[-1], kept)):
                self._waiting.append(kept)
            self.is_used = True

    def take(self) -> list[dict[str, Any]]:
        """The chunks that have come since the last call."""
        taken, self._waiting = self._waiting, []
        return taken


def _joined(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Append the text of `second` to that of `first`, in place, if both hold nothing but more text of the same choice.
    Returns whether they did. Chunks that wait together become one event, as in chats."""
    if len(first["choices"]) != 1 or len(second["choices"]) != 1 or first.keys() != second.keys():
        return False
    (before,), (after,) = first["choices"], second["choices"]
    rest = [{name: value for name, value in choice.items() if name != "text"} for choice in (before, after)]
    texts = (before["text"], after["text"])
    is_plain = before["finish_reason"] is None and before["logprobs"] is None and rest[0] == rest[1]
    if not is_plain or not all(isinstance(text, str) for text in texts):
        return False
    before["text"] = "".join(texts)
    return True
