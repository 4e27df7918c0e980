"""What a provider keeps, as a client gets to know it: answers and events with the ids that are for this user."""

from collections.abc import Callable
from typing import Any

import orjson

from scalix.domain.requests.object_ids import places
from scalix.domain.requests.routes import Route

# Without one of these there is no such id in an answer of the other routes.
_SIGNS = (
    *(b'"audio"', b'"container', b'"file_id"', b'"encrypted_', b'redacted_thinking"'),
    b'"litellm_encrypted_reasoning:',
)


class GivenIds:
    """Rewrites the ids of one answer. `give` makes the user's id of the provider's."""

    def __init__(self, route: Route, give: Callable[[str], str]) -> None:
        self._is_responses = route is Route.RESPONSES
        self._give = give
        self._given: dict[str, str] = {}

    def whole(self, body: bytes) -> bytes:
        """An answer that is not streamed; what is no JSON stays as it is."""
        return self._rewritten(body, "response") if self._may_have(body) else body

    def event(self, event: bytes) -> bytes:
        """One server-sent event."""
        if not self._may_have(event):
            return event
        lines = event.split(b"\n")
        for position, line in enumerate(lines):
            if line.startswith(b"data:") and b"{" in line:
                lines[position] = b"data: " + self._rewritten(line[5:], "")
        return b"\n".join(lines)

    def _may_have(self, part: bytes) -> bool:
        return self._is_responses or any(sign in part for sign in _SIGNS)

    def _rewritten(self, text: bytes, holder: str) -> bytes:
        try:
            value: Any = orjson.loads(text)
        except orjson.JSONDecodeError:
            return text
        found = list(places(value, holder if self._is_responses else ""))
        for place in found:
            given = self._given.get(place.text)
            if given is None:
                given = self._give(place.text)
                if not place.is_encrypted:
                    self._given[place.text] = given
            place.holder[place.name] = given
        return orjson.dumps(value) if found else text
