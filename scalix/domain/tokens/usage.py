"""The usage that a provider reports for a request."""

from dataclasses import dataclass, field, fields
from typing import Any, Final

# No model takes or gives this many tokens in one request; a provider that says so is wrong.
IMPOSSIBLE_TOKENS = 50_000_000


def _part(*wholes: str, others: tuple[str, ...] = ()) -> Any:
    """A detail that is at most as large as each of `wholes`, less `others`."""
    return field(default=0, metadata={"bounds": (wholes, others)})


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the provider reported them. The details are parts of the prompt or the completion.

    `cached_tokens` were read from the provider's cache, `cache_write_tokens` written to it (`cache_write_1h_tokens` of
    them for an hour). `cached_audio_tokens` are the cached part of the audio. `images` counts images that are billed
    by the piece. `service_tier` is the speed at which the provider says it served, empty for the usual one.
    `has_extras`: more than tokens was billed, such as web searches.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = _part("prompt_tokens")
    cache_write_tokens: int = _part("prompt_tokens", others=("cached_tokens",))
    cache_write_1h_tokens: int = _part("cache_write_tokens")
    audio_prompt_tokens: int = _part("prompt_tokens")
    cached_audio_tokens: int = _part("cached_tokens", "audio_prompt_tokens")
    image_prompt_tokens: int = _part("prompt_tokens", others=("audio_prompt_tokens",))
    images: int = _part("prompt_tokens")
    reasoning_tokens: int = _part("completion_tokens")
    audio_completion_tokens: int = _part("completion_tokens", others=("reasoning_tokens",))
    image_completion_tokens: int = _part("completion_tokens", others=("reasoning_tokens", "audio_completion_tokens"))
    service_tier: str = ""
    has_extras: bool = False

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


_BOUNDS: Final = [(one.name, *one.metadata["bounds"]) for one in fields(Usage) if one.metadata]


def usage_from(
    prompt_tokens: object,
    completion_tokens: object,
    *,
    service_tier: object = "",
    has_extras: bool = False,
    **details: object,
) -> Usage | None:
    """A provider's figures, checked; `None` if they can't be true: no whole numbers, negative, absurdly large, or an
    empty prompt.

    `details` are named as in `Usage`. One that can't be true, being no such number or more than the figure that it is
    a part of, counts as 0: its tokens then cost as much as all others.
    """
    prompt, completion = _whole(prompt_tokens), _whole(completion_tokens)
    if not prompt or completion is None:  # no answer without a prompt
        return None
    found: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    figure = found.__getitem__
    for name, wholes, others in _BOUNDS:
        part = _whole(details.pop(name, 0)) or 0
        found[name] = part if not part or part <= min(map(figure, wholes)) - sum(map(figure, others)) else 0
    tier = service_tier.lower() if isinstance(service_tier, str) and len(service_tier) <= 32 else ""
    return Usage(**found, **details, service_tier=tier, has_extras=has_extras)  # type: ignore[arg-type]


def _whole(value: object) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < IMPOSSIBLE_TOKENS
    return value if is_number else None  # type: ignore[return-value]
