"""Usages as providers send them, recorded from their answers and documentation, with models that bill them."""

from dataclasses import dataclass, field
from typing import Any

CHAT, RESPONSES, MESSAGES, GEMINI = "chat", "responses", "messages", "gemini"


@dataclass(frozen=True)
class Shape:
    """`usage` in the words of `api`, for a `model` of LiteLLM's. `info` is what its deployment says of its price."""

    name: str
    api: str
    model: str
    usage: dict[str, Any]
    service_tier: str | None = None
    info: dict[str, Any] = field(default_factory=dict)


def chat(prompt: int, completion: int, prompt_details: Any = None, completion_details: Any = None) -> dict[str, Any]:
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    usage["total_tokens"] = prompt + completion
    if prompt_details:
        usage["prompt_tokens_details"] = prompt_details
    if completion_details:
        usage["completion_tokens_details"] = completion_details
    return usage


def responses(prompt: int, cached: int, answer: int, reasoning: int) -> dict[str, Any]:
    return {
        "input_tokens": prompt,
        "input_tokens_details": {"cached_tokens": cached},
        "output_tokens": answer,
        "output_tokens_details": {"reasoning_tokens": reasoning},
        "total_tokens": prompt + answer,
    }


def messages(prompt: int, answer: int, *, read: int = 0, five_minutes: int = 0, hour: int = 0) -> dict[str, Any]:
    return {
        "input_tokens": prompt,
        "cache_creation_input_tokens": five_minutes + hour,
        "cache_read_input_tokens": read,
        "cache_creation": {"ephemeral_5m_input_tokens": five_minutes, "ephemeral_1h_input_tokens": hour},
        "output_tokens": answer,
        "service_tier": "standard",
    }


def gemini(
    prompt: int, answer: int, thoughts: int = 0, cached: int = 0, **kinds: list[tuple[str, int]]
) -> dict[str, Any]:
    usage: dict[str, Any] = {"promptTokenCount": prompt, "candidatesTokenCount": answer}
    usage["totalTokenCount"] = prompt + answer + thoughts
    if thoughts:
        usage["thoughtsTokenCount"] = thoughts
    if cached:
        usage["cachedContentTokenCount"] = cached
    for name, parts in kinds.items():
        usage[name] = [{"modality": kind, "tokenCount": tokens} for kind, tokens in parts]
    return usage


SOL, OPUS, FLASH, PRO = (
    "openai/gpt-5.6-sol",
    "anthropic/claude-opus-5-5",
    "gemini/gemini-2.5-flash",
    "gemini/gemini-2.5-pro",
)
SONNET = "anthropic/claude-sonnet-4-5"

SHAPES = [
    Shape("plain chat", CHAT, "openai/gpt-4o", chat(19, 10)),
    Shape("no details at all", CHAT, "mistral/mistral-large-latest", chat(1_234, 567)),
    Shape(
        "chat with every detail at nothing",
        CHAT,
        "openai/gpt-4o",
        chat(
            2_006,
            300,
            {"cached_tokens": 0, "audio_tokens": 0},
            {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        ),
    ),
    Shape("cached prompt", CHAT, "openai/gpt-4o", chat(2_006, 300, {"cached_tokens": 1_920, "audio_tokens": 0})),
    Shape(
        "reasoning",
        CHAT,
        "openai/gpt-5-mini",
        chat(75, 1_186, {"cached_tokens": 0}, {"reasoning_tokens": 1_024, "audio_tokens": 0}),
    ),
    Shape("cache written", CHAT, SOL, chat(3_000, 100, {"cached_tokens": 1_024, "cache_write_tokens": 1_500})),
    Shape("beyond the threshold", CHAT, SOL, chat(300_000, 4_000, {"cached_tokens": 100_000})),
    Shape("just at the threshold", CHAT, SOL, chat(272_000, 4_000)),
    Shape("priority", CHAT, "openai/gpt-5-mini", chat(5_000, 400, {"cached_tokens": 1_024}), "priority"),
    Shape("flex", CHAT, "openai/o3", chat(5_001, 401, {"cached_tokens": 1_025}, {"reasoning_tokens": 300}), "flex"),
    Shape("priority beyond the threshold", CHAT, SOL, chat(272_001, 7, {"cached_tokens": 33}), "priority"),
    Shape("the service tier of default", CHAT, "openai/gpt-4o", chat(77, 33), "default"),
    Shape(
        "audio in and out",
        CHAT,
        "openai/gpt-audio",
        chat(
            126,
            190,
            {"audio_tokens": 110, "text_tokens": 16, "cached_tokens": 0},
            {"audio_tokens": 150, "text_tokens": 40, "reasoning_tokens": 0},
        ),
    ),
    Shape("responses", RESPONSES, "openai/gpt-5-mini", responses(328, 0, 52, 0)),
    Shape("responses, cached and reasoned", RESPONSES, "openai/o3", responses(81_000, 64_000, 1_035, 832)),
    Shape("messages", MESSAGES, OPUS, messages(25, 13)),
    Shape("messages, cache read", MESSAGES, OPUS, messages(21, 393, read=188_086)),
    Shape("messages, cache written", MESSAGES, SONNET, messages(50, 503, five_minutes=100_000)),
    Shape("messages, cache written for an hour", MESSAGES, SONNET, messages(3, 250, hour=1_111)),
    Shape("messages, everything", MESSAGES, OPUS, messages(2_048, 503, read=1_800, five_minutes=148, hour=100)),
    Shape("messages, one token", MESSAGES, "anthropic/claude-haiku-4-5", messages(1, 1)),
    Shape("gemini", GEMINI, FLASH, gemini(4, 72, promptTokensDetails=[("TEXT", 4)])),
    Shape("gemini, thoughts", GEMINI, FLASH, gemini(8, 300, 1_500, promptTokensDetails=[("TEXT", 8)])),
    Shape("gemini, thoughts alone", GEMINI, PRO, gemini(8, 0, 1_500, promptTokensDetails=[("TEXT", 8)])),
    Shape(
        "gemini, cached",
        GEMINI,
        PRO,
        gemini(5_000, 20, cached=4_096, promptTokensDetails=[("TEXT", 5_000)], cacheTokensDetails=[("TEXT", 4_096)]),
    ),
    Shape("gemini, beyond 200k", GEMINI, PRO, gemini(210_000, 900, 100, promptTokensDetails=[("TEXT", 210_000)])),
    Shape(
        "gemini, a sound",
        GEMINI,
        FLASH,
        gemini(1_932, 400, promptTokensDetails=[("TEXT", 12), ("AUDIO", 1_920)]),
    ),
    Shape("gemini, a picture", GEMINI, FLASH, gemini(271, 50, promptTokensDetails=[("TEXT", 13), ("IMAGE", 258)])),
    Shape(
        "gemini, a picture drawn",
        GEMINI,
        "gemini/gemini-2.5-flash-image",
        gemini(9, 1_305, promptTokensDetails=[("TEXT", 9)], candidatesTokensDetails=[("IMAGE", 1_290), ("TEXT", 15)]),
    ),
    Shape("a prompt embedded", CHAT, "openai/text-embedding-3-small", chat(8, 0)),
    Shape("many embedded", CHAT, "gemini/gemini-embedding-001", chat(123_457, 0)),
    Shape("prices by ranges, the first", CHAT, "dashscope/qwen-flash", chat(256_000, 1_000)),
    Shape("prices by ranges, the second", CHAT, "dashscope/qwen-flash", chat(256_001, 1_000, {"cached_tokens": 9})),
    Shape("a free variant", CHAT, "gemini/gemini-exp-1206", chat(9_000, 900)),
    Shape(
        "deepseek's own words",
        CHAT,
        "deepseek/deepseek-v4-flash",
        {**chat(1_000, 90), "prompt_cache_hit_tokens": 640, "prompt_cache_miss_tokens": 360},
    ),
    Shape(
        "a price of one's own",
        CHAT,
        "openai/scalix-engine",
        chat(1_001, 77, {"cached_tokens": 500}),
        info={
            "input_cost_per_token": 0.000001,
            "output_cost_per_token": 0.000003,
            "cache_read_input_token_cost": 0.0000001,
            "cache_creation_input_token_cost": 0.000001,
        },
    ),
    Shape(
        "a price of one's own that says nothing of caches",
        CHAT,
        "openai/scalix-engine-2",
        chat(1_001, 77, {"cached_tokens": 500}),
        info={"input_cost_per_token": 0.0000011, "output_cost_per_token": 0.0000033},
    ),
]
