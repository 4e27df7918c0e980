"""What a provider says that a request has used."""

from dataclasses import dataclass

# No model takes or gives this many tokens in one request; a provider that says so is wrong.
IMPOSSIBLE_TOKENS = 50_000_000


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request, as the provider reported them. The details are parts of the two wholes.

    `cached_tokens` were read from the provider's cache, `cache_write_tokens` written to it (`cache_write_1h_tokens` of
    them for an hour), `cached_audio_tokens` are the cached ones among the audio. `images` counts images where they are
    billed by the piece. `service_tier` is how fast the provider says that it has served, empty for as usual.
    `has_extras`: it was billed for more than tokens, such as searches on the web.
    """

    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    cache_write_1h_tokens: int = 0
    audio_prompt_tokens: int = 0
    cached_audio_tokens: int = 0
    image_prompt_tokens: int = 0
    images: int = 0
    reasoning_tokens: int = 0
    audio_completion_tokens: int = 0
    image_completion_tokens: int = 0
    service_tier: str = ""
    has_extras: bool = False

    @property
    def total_tokens(self) -> int:
        """Prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


def usage_from(
    prompt_tokens: object,
    completion_tokens: object,
    *,
    cached_tokens: object = 0,
    cache_write_tokens: object = 0,
    cache_write_1h_tokens: object = 0,
    audio_prompt_tokens: object = 0,
    cached_audio_tokens: object = 0,
    image_prompt_tokens: object = 0,
    images: object = 0,
    reasoning_tokens: object = 0,
    audio_completion_tokens: object = 0,
    image_completion_tokens: object = 0,
    service_tier: object = "",
    has_extras: bool = False,
) -> Usage | None:
    """A provider's figures if they can be true: whole numbers, not negative, a prompt, not absurd. Else `None`.

    A detail that can't be true, being no such number or more than what it is a part of, counts as none: its tokens then
    cost what all others do.
    """
    prompt, completion = _whole(prompt_tokens), _whole(completion_tokens)
    if not prompt or completion is None:  # there is no answer to a prompt of nothing
        return None
    cached = _part(cached_tokens, prompt)
    written = _part(cache_write_tokens, prompt - cached)
    audio = _part(audio_prompt_tokens, prompt)
    reasoning = _part(reasoning_tokens, completion)
    spoken = _part(audio_completion_tokens, completion - reasoning)
    return Usage(
        prompt,
        completion,
        cached_tokens=cached,
        cache_write_tokens=written,
        cache_write_1h_tokens=_part(cache_write_1h_tokens, written),
        audio_prompt_tokens=audio,
        cached_audio_tokens=_part(cached_audio_tokens, min(cached, audio)),
        image_prompt_tokens=_part(image_prompt_tokens, prompt - audio),
        images=_part(images, prompt),
        reasoning_tokens=reasoning,
        audio_completion_tokens=spoken,
        image_completion_tokens=_part(image_completion_tokens, completion - reasoning - spoken),
        service_tier=service_tier.lower() if isinstance(service_tier, str) and len(service_tier) <= 32 else "",
        has_extras=has_extras,
    )


def _whole(value: object) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool) and 0 <= value < IMPOSSIBLE_TOKENS
    return value if is_number else None  # type: ignore[return-value]


def _part(value: object, whole: int) -> int:
    number = _whole(value)
    return number if number is not None and number <= whole else 0
