"""An upper bound on the tokens that a provider counts for a request's prompt, cheap enough to run before admission."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from scalix.domain.json_values import mapped, word
from scalix.domain.requests.routes import Route
from scalix.domain.tokens.media_tokens import Media, media_tokens, stray_media_tokens
from scalix.domain.tokens.text_tokens import text_tokens

# What chat templates add: OpenAI 3 per message and 3 to begin, Llama 3 and Qwen 5, Vicuna and Wizard a sentence of 40.
REQUEST_TOKENS: Final = 48
MESSAGE_TOKENS: Final = 8
INPUT_TOKENS: Final = 2  # begin and end marks of one text to complete or embed
# Claude's own prompt for tools: at most 530, on Claude 3 Opus (docs.anthropic.com, "Tool use"); then marks per tool.
TOOLS_TOKENS: Final = 530
TOOL_TOKENS: Final = 16


@dataclass(frozen=True, slots=True)
class Frame:
    """The tokens that are added to what the body holds: for the request, for each message, for each text to complete or
    embed, and for tools if there are any."""

    request: int = REQUEST_TOKENS
    message: int = MESSAGE_TOKENS
    input: int = INPUT_TOKENS
    tools: int = TOOLS_TOKENS
    completion: int = REQUEST_TOKENS  # in place of `request` for completions


ANY_FRAME: Final = Frame()
# For charges: nothing for a template that the model may not have.
CHARGED_FRAME: Final = Frame(request=0, completion=0)
# 3 to begin, 4 for each message including its role; `instructions` and a bare `input` are messages too.
OPENAI_FRAME: Final = Frame(request=11, message=4, input=0, tools=16, completion=0)
CLIENT_TOOL_TOKENS: Final = 1_000  # Anthropic's bash and text editor: up to 700, without a schema in the body
MEMBER_TOKENS: Final = 4  # quotes, colon, comma and indent of a member of a JSON object
LIST_TOKENS: Final = 2  # the brackets of a JSON list

_SCHEMAS = frozenset({"function", "parameters", "input_schema", "custom"})
_CONVERSATION = frozenset({"messages", "input", "prompt", "system", "instructions", "prediction"})
_TEXT_PARTS = frozenset({"text", "input_text", "output_text", "refusal", "thinking", "message"})
# Control fields, which no model gets as text. All other fields are counted.
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
    count: Callable[[str], int] = text_tokens,
    media: Media | None = None,
    frame: Frame = ANY_FRAME,
) -> int:
    """An upper bound on the tokens that the provider will count for the prompt in `body`, as far as the body shows it.

    It is at most the UTF-8 bytes of the text plus the fixed costs of messages, tools and media. What is not understood
    counts as its JSON text. `media` measures images, sound and files, and knows afterwards which it could not measure;
    without it images cost what they do on the dearest known model except GPT-4o mini. `count` counts the tokens of all
    text together. `frame` has the tokens that are added around it. Takes some 0.1 ms for 10,000 tokens of English.

    Raises `BadRequest` for more media than any provider takes.
    """
    media = media or Media()
    media.begin()
    texts: list[str] = []
    tokens = (frame.request if route.row.is_chat else frame.completion) if route.row.generates else 0
    for key, value in body.items():
        if key in _CONTROLS or value is None:
            continue
        if key in ("tools", "functions") and isinstance(value, list):
            tokens += frame.tools if value else 0
            for tool in value:
                tokens += CLIENT_TOOL_TOKENS if _SCHEMAS.isdisjoint(mapped(tool)) else TOOL_TOKENS
                tokens += _tokens(tool, texts)
        elif key in ("input", "prompt"):
            tokens += _input_tokens(value, texts, media, frame)
        elif key in _CONVERSATION:
            tokens += _tokens(value, texts, media, frame)
        else:
            tokens += _tokens(value, texts)
    return tokens + count(" ".join(texts))


def _input_tokens(value: Any, texts: list[str], media: Media, frame: Frame) -> int:
    """The tokens of prompts to complete or embed, or of input items. Arrays of token ids are counted exactly."""
    if not isinstance(value, list):
        return frame.input + _tokens(value, texts, media, frame)
    if _is_token_array(value):
        return len(value)
    tokens = 0
    for item in value:
        if isinstance(item, list) and _is_token_array(item):
            tokens += len(item)
        else:
            tokens += frame.input + _tokens(item, texts, media, frame)
    return tokens


def _is_token_array(value: list[Any]) -> bool:
    return set(map(type, value)) == {int}


def _tokens(value: Any, texts: list[str], media: Media | None = None, frame: Frame = ANY_FRAME) -> int:
    """The tokens of messages and their content, with media at their documented cost; without `media` those of `value`
    as JSON text. Strings are not counted but added to `texts`."""
    tokens = 0
    stack = [value]
    while stack:
        node = stack.pop()
        if isinstance(node, str):
            texts.append(node)
        elif isinstance(node, list):
            tokens += len(node) + (0 if media else LIST_TOKENS)
            stack.extend(node)
        elif not isinstance(node, dict):
            tokens += _scalar_tokens(node)
        elif media is None:
            tokens += _member_tokens(node, texts, stack)
        elif len(node) == 2 and isinstance(node.get("content"), str) and _is_label("role", node.get("role")):
            tokens += frame.message  # by far the most common case
            texts.append(node["content"])
        elif (part := media_tokens(node, media)) is not None:
            tokens += part[0]
            stack.extend(part[1])
        elif "role" in node or word(node.get("type")) in _TEXT_PARTS:
            tokens += frame.message if "role" in node else 0
            stack.extend(value for key, value in node.items() if not _is_label(key, value))
        else:
            tokens += stray_media_tokens(node, media) + _member_tokens(node, texts, stack)
    return tokens


def _member_tokens(node: dict[str, Any], texts: list[str], stack: list[Any]) -> int:
    texts.extend(map(str, node))
    stack.extend(node.values())
    return MEMBER_TOKENS * len(node)


def _is_label(key: str, value: Any) -> bool:
    return value is None or (key in ("role", "type") and isinstance(value, str) and len(value) <= 32)


def _scalar_tokens(value: Any) -> int:
    """The digits of a number, as some tokenizers make a token of each; `str` refuses integers of more than 4,300."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value.bit_length() * 31 // 100 + 2
    return len(repr(value)) if isinstance(value, float) else 1
