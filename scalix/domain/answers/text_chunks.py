"""Chunks of streamed completions that are no chat.

LiteLLM has a usage of zeros in every one of them, and the true one in a chunk of its own; the gateway always asks for
it, and a client that has not asked gets chunks without. Of the provider's choices it keeps the text of the first alone,
so they are kept here.
"""

from collections.abc import Callable
from typing import Any

from scalix.domain.answers.usage_details import without_null_details

_LOST = ("choices", "system_fingerprint")


def complete_text_chunk(chunk: dict[str, Any], *, with_usage: bool) -> bool:
    """Complete a chunk, in place. Whether it is one for the client: not what would only bring a usage not asked for."""
    usage = chunk.pop("usage", None)
    counted = isinstance(usage, dict) and any(usage.get(name) for name in ("prompt_tokens", "completion_tokens"))
    choices = [choice for choice in chunk.get("choices") or () if isinstance(choice, dict)]
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
    choice.setdefault("logprobs", None)
    choice.setdefault("finish_reason", None)


class TextChoices:
    """A provider's own chunks, which wait here until the engine has read them: what it loses of them."""

    def __init__(self) -> None:
        self._waiting: list[dict[str, Any]] = []
        self.is_used = False

    def note(self, event: bytes, loads: Callable[[bytes], Any]) -> None:
        """Keep what is in one event."""
        try:
            chunk = loads(event.strip().removeprefix(b"data:"))
        except ValueError:
            return
        choices = chunk.get("choices") if isinstance(chunk, dict) else None
        if isinstance(choices, list) and choices and all(isinstance(choice, dict) for choice in choices):
            for choice in choices:
                complete_text_choice(choice)
            kept = {name: chunk[name] for name in _LOST if chunk.get(name) is not None}
            if not (self._waiting and _joined(self._waiting[-1], kept)):
                self._waiting.append(kept)
            self.is_used = True

    def take(self) -> list[dict[str, Any]]:
        """What has come since the last time, chunk by chunk."""
        taken, self._waiting = self._waiting, []
        return taken


def _joined(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Put the text of `second` behind that of `first`, in place, where both hold nothing but more of the same choice's
    text. Whether they did: what waits together is one event, as chats have it."""
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
