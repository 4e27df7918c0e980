"""What a provider keeps, as a client gets to know it: answers and events with the ids that are for this user."""

from collections.abc import Callable
from typing import Any

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

    def concerns(self, part: bytes) -> bool:
        """Whether an answer or event may have such an id in it."""
        return self._is_responses or any(sign in part for sign in _SIGNS)

    def rewrite(self, value: Any, *, is_whole: bool) -> None:
        """Put the user's ids into a parsed answer, or a parsed event."""
        holder = "response" if is_whole and self._is_responses else ""
        for place in list(places(value, holder)):
            given = self._given.get(place.text)
            if given is None:
                given = self._give(place.text)
                if not place.is_encrypted:
                    self._given[place.text] = given
            place.holder[place.name] = given
