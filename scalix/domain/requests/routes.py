"""The metered routes: whoever adds one adds a row here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class RouteRow:
    """What the gateway has to know of a route that a provider answers.

    - `path`: below `/v1`, here and at LiteLLM
    - `provider_paths`: how the path ends at providers, whose usage and errors are read there
    - `content`: the field with what is asked, which must be there; `also_required` for the documentation
    - `sdk_type`: the type of the body below `openai.types`, whose fields are taken; `fields` are taken beside them
    - `caps`: fields that bound the answer, the usual one first; none where no text is generated. Such answers cost
      nothing by their length, and one model's can't stand in for another one's
    - `is_chat`: messages go in, which may name stored objects, and not mere texts
    - `passes_extras`: fields of OpenAI-like servers go on to them (`field_lists.py:PASSED`)
    - `translated`: the parameters of chat completions that a setting is translated into, of which a model has to know
      one; none of them if it can't be translated. Other fields are translated whatever the model, or are no settings
    """

    path: str
    provider_paths: tuple[str, ...]
    content: str
    also_required: tuple[str, ...] = ()
    sdk_type: str = ""
    fields: frozenset[str] = frozenset()
    caps: tuple[str, ...] = ()
    is_chat: bool = False
    passes_extras: bool = False
    translated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def generates(self) -> bool:
        """Whether text is generated."""
        return bool(self.caps)


def _as_they_are(*names: str) -> dict[str, tuple[str, ...]]:
    return {name: (name,) for name in names}


# Anthropic's, which LiteLLM translates for others too.
_THINKING = frozenset({"thinking"})
_THOUGHT = ("reasoning_effort", "thinking")
_COMMON = _as_they_are("tools", "tool_choice", "temperature", "top_p")
_OF_COMPLETIONS = _as_they_are(
    *("functions", "function_call", "temperature", "top_p", "n", "stop", "modalities", "prediction", "audio"),
    *("presence_penalty", "frequency_penalty", "logit_bias", "response_format", "seed", "tools", "tool_choice"),
    *("parallel_tool_calls", "logprobs", "top_logprobs", "reasoning_effort", "thinking", "web_search_options"),
    *("service_tier", "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "verbosity", "store"),
)
_CHAT = RouteRow(
    path="/chat/completions",
    provider_paths=("/chat/completions", ":generateContent", ":streamGenerateContent"),
    content="messages",
    sdk_type="chat.CompletionCreateParams",
    fields=_THINKING,
    caps=("max_tokens", "max_completion_tokens"),
    is_chat=True,
    passes_extras=True,
    translated=_OF_COMPLETIONS,
)
_COMPLETIONS = RouteRow(
    path="/completions",
    provider_paths=("/completions",),
    content="prompt",
    sdk_type="CompletionCreateParams",
    fields=_THINKING,
    caps=("max_tokens",),
    passes_extras=True,
    translated=_OF_COMPLETIONS,
)
_EMBEDDINGS = RouteRow(
    path="/embeddings",
    provider_paths=("/embeddings",),
    content="input",
    sdk_type="EmbeddingCreateParams",
    fields=_THINKING,
    translated=_as_they_are("dimensions", "encoding_format", "user"),
)
_RESPONSES = RouteRow(
    path="/responses",
    provider_paths=("/responses",),
    content="input",
    sdk_type="responses.ResponseCreateParams",
    fields=_THINKING,
    caps=("max_output_tokens",),
    is_chat=True,
    passes_extras=True,
    translated={
        **_COMMON,
        **_as_they_are("parallel_tool_calls", "service_tier", "safety_identifier"),
        "reasoning": _THOUGHT,
        "text": ("response_format",),
        **dict.fromkeys(("store", "include", "truncation", "prompt_cache_key", "prompt_cache_retention"), ()),
        **dict.fromkeys(("top_logprobs", "max_tool_calls"), ()),
    },
)
_MESSAGES = RouteRow(
    path="/messages",
    provider_paths=("/messages",),
    content="messages",
    also_required=("max_tokens",),
    # https://docs.anthropic.com/en/api/messages, fields of the request body
    fields=frozenset(
        {
            *("cache_control", "container", "context_management", "max_tokens", "mcp_servers", "messages", "model"),
            *("output_config", "output_format", "service_tier", "stop_sequences", "stream", "system", "temperature"),
            *("thinking", "tool_choice", "tools", "top_k", "top_p"),
        }
    ),
    caps=("max_tokens",),
    is_chat=True,
    translated={
        **_COMMON,
        "stop_sequences": ("stop",),
        "thinking": _THOUGHT,
        "output_format": ("response_format",),
        **dict.fromkeys(("context_management", "cache_control", "container", "mcp_servers"), ()),
    },
)


class Route(StrEnum):
    """One kind of provider call, whatever the path's spelling."""

    row: RouteRow

    def __new__(cls, name: str, row: RouteRow) -> "Route":
        """The name as logs and the config have it, and what is known of the route."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.row = row
        return member

    CHAT = "chat", _CHAT
    COMPLETIONS = "completions", _COMPLETIONS
    EMBEDDINGS = "embeddings", _EMBEDDINGS
    RESPONSES = "responses", _RESPONSES
    MESSAGES = "messages", _MESSAGES
