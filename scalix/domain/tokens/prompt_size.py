"""The size of a prompt, as far as it is known."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from scalix.domain.requests.routes import Route
from scalix.domain.tokens.estimate import estimate_prompt_tokens
from scalix.domain.tokens.media_tokens import Media
from scalix.domain.tokens.text_tokens import text_tokens

LONGEST_TOKEN_CHARACTERS: Final = 128  # in both of OpenAI's encodings, of spaces and of dashes


@dataclass(frozen=True, slots=True)
class PromptSize:
    """`tokens` were counted. If there is a `least_tokens`, they are an upper bound, and that is the lower one."""

    tokens: int
    least_tokens: int | None = None


def estimated_size(route: Route, body: Mapping[str, Any], media: Media) -> PromptSize:
    """The estimated size, with a lower bound from the length of the text. Raises `BadRequest`."""
    characters = 0

    def noted(text: str) -> int:
        nonlocal characters
        characters = len(text)
        return text_tokens(text)

    tokens = estimate_prompt_tokens(route, body, count=noted, media=media)
    return PromptSize(tokens, characters // LONGEST_TOKEN_CHARACTERS)
