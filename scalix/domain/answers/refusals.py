"""Refusals in answers of OpenAI's chat format, put where an engine does not lose them."""

from typing import Any

from scalix.domain.requests.routes import Route


class Refusals:
    """Mends the refusals of one answer on `route`, whole or in deltas. Chat completions have a field for them, which
    LiteLLM only keeps elsewhere; for other APIs they are texts, and for Anthropic's a reason to stop."""

    def __init__(self, route: Route) -> None:
        self.for_chat = route is Route.CHAT
        self._is_reason = route is Route.MESSAGES
        self._has_text = False
        self.seen = False

    @property
    def is_all(self) -> bool:
        """Whether a refusal is all that is said."""
        return self.seen and not self._has_text

    def mend(self, choice: dict[str, Any], message: dict[str, Any]) -> bool:
        """Mend one choice and its `message`, or delta. Whether there was something to change."""
        given = message.get("refusal")
        refusal = given if isinstance(given, str) else ""
        refuses = bool(refusal)
        self._has_text = self._has_text or bool(message.get("content"))
        self.seen = self.seen or refuses
        if refuses and self.for_chat:
            message["provider_specific_fields"] = {"refusal": refusal}
        elif refuses:
            message["content"] = (message.get("content") or "") + refusal
            message["refusal"] = None
        if self.seen and self._is_reason and choice.get("finish_reason") == "stop":
            choice["finish_reason"] = "content_filter"  # which an engine makes `refusal` of
            return True
        return refuses
