"""Answers of OpenAI's Responses API from a provider that has it, made what clients know, where no engine has rewritten
them. What else they must have is added to both engines' (`scalix/domain/answers/responses.py`).

They keep all that a provider says but what is the operator's, and get the public model's name, and the id by which an
answer is found again. Objects are changed in place.
"""

from collections.abc import Callable
from typing import Any

from scalix.domain.answers.fields import without_operators


class PassedResponses:
    """One answer of a model, whole or event by event. `model` is the model's public name; `kept_id` makes of the
    provider's id of an answer the one that clients know; `new_id` makes one with a prefix; `now_s` is Unix time."""

    items = "output"  # where an answer is

    def __init__(
        self, model: str, kept_id: Callable[[str], str], new_id: Callable[[str], str], now_s: Callable[[], int]
    ) -> None:
        self._model = model
        self._kept_id = kept_id
        self._new_id = new_id
        self._now_s = now_s
        self._id = ""  # as clients know it

    def whole(self, answer: dict[str, Any]) -> None:
        """Complete an answer that is not streamed, or what an event has of one."""
        if not self._id:
            given = answer.get("id")
            self._id = self._kept_id(given if isinstance(given, str) and given else self._new_id("resp_"))
        answer["id"], answer["object"], answer["model"] = self._id, "response", self._model
        if type(created := answer.get("created_at")) is not int:
            answer["created_at"] = int(created) if type(created) is float else self._now_s()
        without_operators(answer)
        if isinstance(usage := answer.get("usage"), dict) and usage.get("total_tokens") is None:
            usage["total_tokens"] = (usage.get("input_tokens") or 0) + (usage.get("output_tokens") or 0)

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """An event of a stream, completed: its type is the first of its fields, by which it is known."""
        response = event.get("response")
        if isinstance(response, dict):
            self.whole(response)
        return {"type": event["type"], **event} if "type" in event else event
