"""Moves refusals in answers of OpenAI's chat format to where an engine does not lose them."""

from typing import Any

from scalix.domain.json_values import word
from scalix.domain.requests.routes import Route


class Refusals:
    """Moves the refusals of one answer on `route`, whole or in deltas. Chat completions have a field for them, which
    LiteLLM only keeps under a name of its own; in other APIs they are texts, and in Anthropic's also a stop reason."""

    def __init__(self, route: Route) -> None:
        self.for_chat = route is Route.CHAT
        self._is_reason = route is Route.MESSAGES
        self._has_text = False
        self.seen = False

    @property
    def is_all(self) -> bool:
        """Whether the answer says nothing but a refusal."""
        return self.seen and not self._has_text

    def mend(self, choice: dict[str, Any], message: dict[str, Any]) -> bool:
        """Move the refusal in one choice and its `message`, or delta. Returns whether something was changed."""
        refusal = word(message.get("refusal"))
        refuses = bool(refusal)
        self._has_text = self._has_text or bool(message.get("content"))
        self.seen = self.seen or refuses
        if refuses and self.for_chat:
            message["provider_specific_fields"] = {"refusal": refusal}
        elif refuses:
            message["content"] = (message.get("content") or "") + refusal
            message["refusal"] = None
        if self.seen and self._is_reason and choice.get("finish_reason") == "stop":
            choice["finish_reason"] = "content_filter"  # engines translate this to `refusal`
            return True
        return refuses
