"""Reads a usage in the words of OpenAI, Anthropic and Gemini, and in those that LiteLLM makes of them."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scalix.domain.tokens.usage import IMPOSSIBLE_TOKENS, Usage, usage_from

# Gemini's words for how fast it has served.
TRAFFIC = {
    "ON_DEMAND_PRIORITY": "priority",
    "FLEX": "flex",
    "BATCH": "flex",
    "ON_DEMAND_FLEX": "flex",
}
# What is billed beside tokens, or by other rates than theirs, where it is not nothing.
_EXTRAS_OF_PROMPTS = (
    "web_search_requests",
    "google_maps_grounding_requests",
    "video_tokens",
    "character_count",
    "video_length_seconds",
    "audio_length_seconds",
    "query_count",
)
_USUAL_PLACES = ("global", "not_available")
_OF_AN_ITERATION = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
# Of an answer's parts, what comes from no hosted tool.
_OWN_OUTPUT = ("message", "reasoning", "function_call", "custom_tool_call")


def field(source: Any, name: str) -> Any:
    """`name` of a mapping or an object; LiteLLM hands over both."""
    if isinstance(source, dict) or isinstance(source, Mapping):  # noqa: SIM101 - the first is ten times as fast
        return source.get(name)
    return None if source is None else getattr(source, name, None)


def usage_in(answer: Any) -> Usage | None:
    """The usage of an answer on any route, `None` if it has none that can be true."""
    holder = answer
    usage = field(answer, "usage") or field(answer, "usageMetadata")
    if usage is None:
        holder = field(answer, "response")
        usage = field(holder, "usage")
    read = None if usage is None else read_usage(usage)
    if read is None:
        return None
    served = field(holder, "service_tier")
    if isinstance(served, str) and served:
        read = replace(read, service_tier=served.lower()[:32])
    return replace(read, has_extras=True) if _has_hosted_output(holder) else read


def read_usage(usage: Any, *, prompt_tokens: int | None = None) -> Usage | None:
    """A usage, `None` if it has none that can be true. `prompt_tokens` were told before, where it does not say."""
    if field(usage, "promptTokenCount") is not None or field(usage, "candidatesTokenCount") is not None:
        return _of_gemini(usage)
    if field(usage, "prompt_tokens") is not None or field(usage, "completion_tokens") is not None:
        prompt, completion = field(usage, "prompt_tokens"), field(usage, "completion_tokens")
    else:
        usage = _with_iterations(usage)
        prompt, completion = field(usage, "input_tokens"), field(usage, "output_tokens")
        if isinstance(prompt, int):
            # Anthropic counts what it wrote to and read from its cache beside the rest of the prompt.
            for name in ("cache_creation_input_tokens", "cache_read_input_tokens"):
                prompt += _positive(field(usage, name))
    of_prompt = field(usage, "prompt_tokens_details") or field(usage, "input_tokens_details")
    of_answer = field(usage, "completion_tokens_details") or field(usage, "output_tokens_details")
    return usage_from(
        prompt or prompt_tokens,
        _with_all(field(usage, "total_tokens"), prompt, completion) or 0,
        cached_tokens=_first(of_prompt, "cached_tokens")
        or _first(usage, "cache_read_input_tokens", "prompt_cache_hit_tokens"),
        cache_write_tokens=_first(of_prompt, "cache_write_tokens", "cache_creation_tokens")
        or _first(usage, "cache_creation_input_tokens"),
        cache_write_1h_tokens=_first(
            field(of_prompt, "cache_creation_token_details") or field(usage, "cache_creation"),
            "ephemeral_1h_input_tokens",
        ),
        audio_prompt_tokens=_first(of_prompt, "audio_tokens"),
        cached_audio_tokens=_first(field(of_prompt, "cached_tokens_details"), "audio_tokens"),
        image_prompt_tokens=_first(of_prompt, "image_tokens"),
        images=_first(of_prompt, "image_count"),
        reasoning_tokens=_first(of_answer, "reasoning_tokens", "thinking_tokens"),
        audio_completion_tokens=_first(of_answer, "audio_tokens"),
        image_completion_tokens=_first(of_answer, "image_tokens"),
        service_tier=field(usage, "service_tier") or "",
        has_extras=_has_extras(usage, of_prompt, of_answer),
    )


def _with_all(total: Any, prompt: Any, completion: Any) -> Any:
    """The tokens of an answer, with those that only the total has: thoughts, at xAI and behind Gemini's endpoint in
    OpenAI's format."""
    if not isinstance(total, int) or not isinstance(prompt, int) or not isinstance(completion, int):
        return completion
    return total - prompt if prompt + completion < total < IMPOSSIBLE_TOKENS else completion


def _with_iterations(usage: Any) -> Any:
    """Anthropic states what it took to shorten a conversation only among the iterations, the sum of which is all."""
    iterations = field(usage, "iterations")
    if not isinstance(usage, Mapping) or not isinstance(iterations, list):
        return usage
    summed = {name: sum(_positive(field(item, name)) for item in iterations) for name in _OF_AN_ITERATION}
    return {**usage, **summed} if sum(summed.values()) > sum(_positive(usage.get(name)) for name in summed) else usage


def _of_gemini(usage: Any) -> Usage | None:
    thoughts = field(usage, "thoughtsTokenCount") or 0
    prompt, completion = field(usage, "promptTokenCount"), field(usage, "candidatesTokenCount") or 0
    by_tool = field(usage, "toolUsePromptTokenCount")
    if isinstance(prompt, int) and isinstance(by_tool, int):
        prompt += by_tool
    if isinstance(completion, int) and isinstance(thoughts, int):
        completion += thoughts
    asked, cached = _by_kind(usage, "promptTokensDetails"), _by_kind(usage, "cacheTokensDetails")
    said = _by_kind(usage, "candidatesTokensDetails")
    return usage_from(
        prompt,
        completion,
        cached_tokens=field(usage, "cachedContentTokenCount") or 0,
        audio_prompt_tokens=asked.get("AUDIO", 0),
        cached_audio_tokens=cached.get("AUDIO", 0),
        image_prompt_tokens=max(0, asked.get("IMAGE", 0) - cached.get("IMAGE", 0)),
        reasoning_tokens=thoughts,
        audio_completion_tokens=said.get("AUDIO", 0),
        image_completion_tokens=said.get("IMAGE", 0),
        service_tier=TRAFFIC.get(str(field(usage, "trafficType")).upper(), ""),
        has_extras=bool(asked.get("VIDEO") or said.get("VIDEO") or by_tool),
    )


def _by_kind(usage: Any, name: str) -> dict[str, int]:
    found: dict[str, int] = {}
    details = field(usage, name)
    for detail in details if isinstance(details, list) else []:
        kind = str(field(detail, "modality")).upper()
        found[kind] = found.get(kind, 0) + _positive(field(detail, "tokenCount"))
    return found


def _has_extras(usage: Any, of_prompt: Any, of_answer: Any) -> bool:
    place = field(usage, "inference_geo")
    return bool(
        any(field(of_prompt, name) for name in _EXTRAS_OF_PROMPTS)
        or field(of_answer, "video_tokens")
        or field(field(usage, "server_tool_use"), "web_search_requests")
        or field(usage, "server_side_tool_usage_details")
        or field(usage, "speed") == "fast"
        or (isinstance(place, str) and place.lower() not in _USUAL_PLACES)
    )


def _has_hosted_output(answer: Any) -> bool:
    """Whether a tool at the provider has had a part in it, such as a search of the web."""
    output = field(answer, "output")
    if isinstance(output, list):
        return any(field(item, "type") not in _OWN_OUTPUT for item in output)
    choices = field(answer, "choices")
    return isinstance(choices, list) and any(field(field(item, "message"), "annotations") for item in choices)


def _first(source: Any, *names: str) -> Any:
    return next((value for name in names if (value := field(source, name))), 0)


def _positive(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
