"""Reads the usage in a provider's answer, in the formats of OpenAI, Anthropic and Gemini and in LiteLLM's own."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from scalix.domain.json_values import listed, word
from scalix.domain.tokens.usage import IMPOSSIBLE_TOKENS, Usage, usage_from

# Gemini's words for its service tiers.
TRAFFIC = {"ON_DEMAND_PRIORITY": "priority", "FLEX": "flex", "BATCH": "flex", "ON_DEMAND_FLEX": "flex"}
# Details that are billed beside tokens, or at rates of their own, unless they are 0.
_EXTRAS_OF_PROMPTS = (
    *("web_search_requests", "google_maps_grounding_requests", "video_tokens", "character_count"),
    *("video_length_seconds", "audio_length_seconds", "query_count"),
)
# Where each detail of a usage is, as an object in it and a field of that; the first that is not 0 counts.
_DETAILS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "cached_tokens": (
        *(("prompt", "cached_tokens"), ("usage", "cache_read_input_tokens"), ("usage", "prompt_cache_hit_tokens")),
    ),
    "cache_write_tokens": (
        *(("prompt", "cache_write_tokens"), ("prompt", "cache_creation_tokens")),
        ("usage", "cache_creation_input_tokens"),
    ),
    "cache_write_1h_tokens": (("written", "ephemeral_1h_input_tokens"),),
    "audio_prompt_tokens": (("prompt", "audio_tokens"),),
    "cached_audio_tokens": (("cached", "audio_tokens"),),
    "image_prompt_tokens": (("prompt", "image_tokens"),),
    "images": (("prompt", "image_count"),),
    "reasoning_tokens": (("answer", "reasoning_tokens"), ("answer", "thinking_tokens")),
    "audio_completion_tokens": (("answer", "audio_tokens"),),
    "image_completion_tokens": (("answer", "image_tokens"),),
}
_USUAL_PLACES = ("global", "not_available")
_OF_AN_ITERATION = ("input_tokens", "output_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
# The parts of an answer that come from no hosted tool.
_OWN_OUTPUT = ("message", "reasoning", "function_call", "custom_tool_call")


def field(source: Any, name: str) -> Any:
    """The member `name` of a mapping or the attribute of an object: LiteLLM passes both."""
    if isinstance(source, dict) or isinstance(source, Mapping):  # noqa: SIM101 - the first is ten times as fast
        return source.get(name)
    return None if source is None else getattr(source, name, None)


def usage_in(answer: Any) -> Usage | None:
    """The usage of an answer on any route, `None` if it has none or its figures can't be true."""
    holder = answer
    usage = field(answer, "usage") or field(answer, "usageMetadata")
    if usage is None:
        holder = field(answer, "response")
        usage = field(holder, "usage")
    read = None if usage is None else read_usage(usage)
    if read is None:
        return None
    if served := word(field(holder, "service_tier")):
        read = replace(read, service_tier=served.lower()[:32])
    return replace(read, has_extras=True) if _has_hosted_output(holder) else read


def read_usage(usage: Any, *, prompt_tokens: int | None = None) -> Usage | None:
    """The checked figures of a usage, `None` if they can't be true. `prompt_tokens` are what an earlier event of the
    stream told, for a usage that tells none."""
    if field(usage, "promptTokenCount") is not None or field(usage, "candidatesTokenCount") is not None:
        return _of_gemini(usage)
    if field(usage, "prompt_tokens") is not None or field(usage, "completion_tokens") is not None:
        prompt, completion = field(usage, "prompt_tokens"), field(usage, "completion_tokens")
    else:
        usage = _with_iterations(usage)
        prompt, completion = field(usage, "input_tokens"), field(usage, "output_tokens")
        if isinstance(prompt, int):
            # Anthropic does not count what was written to and read from its cache as a part of the input.
            for name in ("cache_creation_input_tokens", "cache_read_input_tokens"):
                prompt += _positive(field(usage, name))
    of_prompt = field(usage, "prompt_tokens_details") or field(usage, "input_tokens_details")
    of_answer = field(usage, "completion_tokens_details") or field(usage, "output_tokens_details")
    written = field(of_prompt, "cache_creation_token_details") or field(usage, "cache_creation")
    cached = field(of_prompt, "cached_tokens_details")
    places = {"usage": usage, "prompt": of_prompt, "answer": of_answer, "written": written, "cached": cached}
    return usage_from(
        prompt or prompt_tokens,
        _with_all(field(usage, "total_tokens"), prompt, completion) or 0,
        service_tier=field(usage, "service_tier") or "",
        has_extras=_has_extras(usage, of_prompt, of_answer),
        **{detail: _first(places, paths) for detail, paths in _DETAILS.items()},
    )


def _first(places: Mapping[str, Any], paths: tuple[tuple[str, str], ...]) -> Any:
    for place, name in paths:
        if value := field(places[place], name):
            return value
    return 0


def _with_all(total: Any, prompt: Any, completion: Any) -> Any:
    """The completion's tokens, with those that only the total counts: reasoning, at xAI and at Gemini's endpoint in
    OpenAI's format."""
    if not isinstance(total, int) or not isinstance(prompt, int) or not isinstance(completion, int):
        return completion
    return total - prompt if prompt + completion < total < IMPOSSIBLE_TOKENS else completion


def _with_iterations(usage: Any) -> Any:
    """The usage summed over its iterations: there alone Anthropic counts what it took to shorten a conversation."""
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
    for detail in listed(field(usage, name)):
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
    """Whether a tool that the provider runs took part, such as its web search."""
    output = field(answer, "output")
    if isinstance(output, list):
        return any(field(item, "type") not in _OWN_OUTPUT for item in output)
    return any(field(field(item, "message"), "annotations") for item in listed(field(answer, "choices")))


def _positive(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
