"""The usage that a provider states, without figures that can't be true. Formats: OpenAI's, Anthropic's, Gemini's."""

from typing import Any

from scalix.domain.tokens.usage import IMPOSSIBLE_TOKENS

# prompt, completion
_FIGURES = (
    ("prompt_tokens", "completion_tokens"),
    ("input_tokens", "output_tokens"),
    ("promptTokenCount", "candidatesTokenCount"),
)
_ANTHROPIC_CACHE = ("cache_creation_input_tokens", "cache_read_input_tokens")
_UNSOUND = object()


def sound_usage(usage: object) -> dict[str, Any] | None:
    """A copy whose token counts are whole numbers that can be true; `None` if one of the main figures can't be.

    Details that can't be true are left out.
    """
    if not isinstance(usage, dict):
        return None
    sound = {key: value for key, given in usage.items() if (value := _sound(key, given)) is not _UNSOUND}
    for names in _FIGURES:
        present = [name for name in names if usage.get(name) is not None]
        if present:
            for name in set(names) - set(present):
                sound.pop(name, None)
            return sound if all(isinstance(sound.get(name), int) for name in present) else None
    return None


def _sound(key: str, value: Any) -> Any:
    if isinstance(value, dict):
        return {name: kept for name, given in value.items() if (kept := _sound(name, given)) is not _UNSOUND}
    if "token" not in key.lower() or value is None or isinstance(value, list):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < IMPOSSIBLE_TOKENS:
        return _UNSOUND
    return value


def has_odd_types(usage: Any) -> bool:
    """Whether a figure is a fraction that equals its whole number."""
    return any(isinstance(value, float) and "token" in key.lower() for key, value in usage.items())


def figures(usage: dict[str, Any]) -> tuple[int, int]:
    """The tokens of the prompt and of what was generated."""
    for prompt_name, completion_name in _FIGURES:
        if prompt_name in usage or completion_name in usage:
            prompt, completion = usage.get(prompt_name) or 0, usage.get(completion_name) or 0
            if prompt_name == "input_tokens":
                prompt += sum(usage.get(name) or 0 for name in _ANTHROPIC_CACHE)
            elif prompt_name == "promptTokenCount":
                completion += usage.get("thoughtsTokenCount") or 0
                prompt += usage.get("toolUsePromptTokenCount") or 0
            return prompt, completion
    return 0, 0
