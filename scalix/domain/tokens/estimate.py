"""An upper bound on the tokens that a provider counts for a request's prompt, cheap enough to run before admission."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scalix.domain.requests.routes import Route
from scalix.domain.tokens.media_tokens import Media, media_tokens, stray_media_tokens
from scalix.domain.tokens.text_tokens import text_tokens
from scalix.domain.tokens.unknown_size import unknown_size_field

__all__ = ["estimate_prompt_tokens", "unknown_size_field"]

# What chat templates add: OpenAI 3 per message and 3 to begin, Llama 3 and Qwen 5, Vicuna and Wizard a sentence of 40.
REQUEST_TOKENS: Final = 48
MESSAGE_TOKENS: Final = 8
INPUT_TOKENS: Final = 2  # begin and end marks of one text to complete or embed
# Claude's own prompt for tools: 530 on Claude 3 Opus, the most (docs.anthropic.com, "Tool use"); then marks per tool.
TOOLS_TOKENS: Final = 530
TOOL_TOKENS: Final = 16


@dataclass(frozen=True, slots=True)
class Frame:
    """The tokens around what the body holds: of the request, of each message, of each text to complete or embed, and of
    tools if there are any."""

    request: int = REQUEST_TOKENS
    message: int = MESSAGE_TOKENS
    input: int = INPUT_TOKENS
    tools: int = TOOLS_TOKENS
    completion: int = REQUEST_TOKENS  # of a request that is no chat


ANY_FRAME: Final = Frame()
# Of what is charged: nothing for a template that a model may have or not.
CHARGED_FRAME: Final = Frame(request=0, completion=0)
# 3 to begin, 4 for each message, the role's word included, that of `instructions` and of a bare `input` too.
OPENAI_FRAME: Final = Frame(request=11, message=4, input=0, tools=16, completion=0)
CLIENT_TOOL_TOKENS: Final = 1_000  # Anthropic's bash and text editor: up to 700, without a schema in the body
MEMBER_TOKENS: Final = 4  # quotes, colon, comma and indent around a member of a JSON object

_CONVERSATION = frozenset({"messages", "input", "prompt", "system", "instructions", "prediction"})
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "thinking", "message"})
# Control fields, which reach no model as text. Whatever is not here is counted.
# fmt: off
_CONTROLS = frozenset({
    "anthropic_version", "audio", "background", "best_of", "cache_control", "conversation", "dimensions",
    "drop_params", "echo", "encoding_format", "frequency_penalty", "include", "inference_geo", "logit_bias",
    "logprobs", "max_completion_tokens", "max_output_tokens", "max_tokens", "max_tool_calls", "metadata", "min_p",
    "modalities", "model", "n", "num_retries", "parallel_tool_calls", "presence_penalty", "previous_response_id",
    "prompt_cache_key", "prompt_cache_retention", "reasoning", "reasoning_effort", "repetition_penalty",
    "safety_identifier", "seed", "service_tier", "stop", "stop_sequences", "store", "stream", "stream_options",
    "temperature", "thinking", "timeout", "top_k", "top_logprobs", "top_p", "truncation", "user", "verbosity",
})
# fmt: on


def estimate_prompt_tokens(
    route: Route,
    body: Mapping[str, Any],
    provider_models: Collection[str] = (),
    count: Callable[[str], int] = text_tokens,
    media: Media | None = None,
    frame: Frame = ANY_FRAME,
) -> int:
    """At least as many tokens as the provider will count for the prompt in `body`, as far as its size is in there.

    Never above the UTF-8 bytes of the text plus the fixed costs of messages, tools and media. What is not understood
    counts as its JSON text; only more media than any provider takes raise `BadRequest`. `provider_models` are LiteLLM's
    names of all the models that may serve the request (such as `openai/gpt-4o-mini`); without them an image costs what
    it does on the dearest known model but GPT-4o mini. `media` measures what the body holds besides text, and tells
    afterwards what it could not measure. `count` is given all text. Some 0.1 ms for 10,000 tokens of English.
    """
    media = media or Media(provider_models)
    media.begin()
    texts: list[str] = []
    tokens = _request_tokens(route, frame)
    for key, value in body.items():
        if key in _CONTROLS or value is None:
            continue
        if key in ("tools", "functions") and isinstance(value, list):
            tokens += frame.tools if value else 0
            for tool in value:
                tokens += TOOL_TOKENS if _has_schema(tool) else CLIENT_TOOL_TOKENS
                tokens += _json_tokens(tool, texts)
        elif key in ("input", "prompt"):
            tokens += _input_tokens(value, texts, media, frame)
        elif key in _CONVERSATION:
            tokens += _content_tokens(value, texts, media, frame)
        else:
            tokens += _json_tokens(value, texts)
    return tokens + count(" ".join(texts))


def _request_tokens(route: Route, frame: Frame) -> int:
    if not route.row.generates:
        return 0
    return frame.request if route.row.is_chat else frame.completion


def _has_schema(tool: Any) -> bool:
    return isinstance(tool, dict) and any(key in tool for key in ("function", "parameters", "input_schema", "custom"))


def _input_tokens(value: Any, texts: list[str], media: Media, frame: Frame) -> int:
    """Prompts to complete or embed, or the items of a response. Arrays of token ids count exactly."""
    if not isinstance(value, list):
        return frame.input + _content_tokens(value, texts, media, frame)
    if _is_token_array(value):
        return len(value)
    tokens = 0
    for item in value:
        if isinstance(item, list) and _is_token_array(item):
            tokens += len(item)
        else:
            tokens += frame.input + _content_tokens(item, texts, media, frame)
    return tokens


def _is_token_array(value: list[Any]) -> bool:
    return set(map(type, value)) == {int}


def _content_tokens(value: Any, texts: list[str], media: Media, frame: Frame) -> int:
    """Messages and their content, with media at their documented cost. Text goes to `texts`; the rest is returned."""
    tokens = 0
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            texts.append(node)
        elif isinstance(node, list):
            tokens += len(node)
            stack.extend(node)
        elif not isinstance(node, dict):
            tokens += _scalar_tokens(node)
        elif len(node) == 2 and isinstance(node.get("content"), str) and _is_label("role", node.get("role")):
            tokens += frame.message  # by far the commonest
            texts.append(node["content"])
        elif (part := media_tokens(node, media)) is not None:
            tokens += part[0]
            stack.extend(part[1])
        elif "role" in node or (isinstance(node.get("type"), str) and node["type"] in _TEXT_PARTS):
            tokens += frame.message if "role" in node else 0
            stack.extend(value for key, value in node.items() if not _is_label(key, value))
        else:
            tokens += MEMBER_TOKENS * len(node) + stray_media_tokens(node, media)
            texts.extend(map(str, node))
            stack.extend(node.values())
    return tokens


def _is_label(key: str, value: Any) -> bool:
    return value is None or (key in ("role", "type") and isinstance(value, str) and len(value) <= 32)


def _json_tokens(value: Any, texts: list[str]) -> int:
    """`value` as JSON text: keys and strings go to `texts`, the rest is returned."""
    tokens = 0
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            texts.append(node)
        elif isinstance(node, dict):
            tokens += MEMBER_TOKENS * len(node)
            texts.extend(map(str, node))
            stack.extend(node.values())
        elif isinstance(node, list):
            tokens += 2 + len(node)
            stack.extend(node)
        else:
            tokens += _scalar_tokens(node)
    return tokens


def _scalar_tokens(value: Any) -> int:
    """The digits of a number; some tokenizers spend a token on each. `str` refuses integers of more than 4,300."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value.bit_length() * 31 // 100 + 2
    return len(repr(value)) if isinstance(value, float) else 1
