"""Which body fields may go in, by route: those of OpenAI's and Anthropic's APIs, and nothing that steers LiteLLM.

OpenAI's are read from the types of its SDK, which LiteLLM brings; Anthropic's stand here, and a test compares them with
the types of its SDK. A field that is not listed is a 400 that names it: LiteLLM takes `api_base`, `mock_response`,
`fallbacks`, prices and much else from a body.
"""

from collections.abc import Collection, Mapping
from functools import cache
from typing import Any

from scalix.domain.errors import BadRequest
from scalix.domain.requests.control_fields import nested_control_field
from scalix.domain.requests.features import FIELD as OPTIONS
from scalix.domain.requests.routes import Route

# Sampling settings that open models' servers take beside OpenAI's.
_COMMON_EXTRAS = frozenset({"top_k", "min_p", "repetition_penalty", "thinking"})
# Ours, which admission takes out of the body: see `domain/features.py`.
_OURS = frozenset({"user", OPTIONS})

# https://docs.anthropic.com/en/api/messages, fields of the request body
ANTHROPIC_FIELDS = frozenset(
    {
        "cache_control",
        "container",
        "context_management",
        "max_tokens",
        "mcp_servers",
        "messages",
        "metadata",
        "model",
        "output_config",
        "output_format",
        "service_tier",
        "stop_sequences",
        "stream",
        "system",
        "temperature",
        "thinking",
        "tool_choice",
        "tools",
        "top_k",
        "top_p",
    }
)
# LiteLLM reads its own settings from `metadata`; providers get nothing useful by it.
NOT_FORWARDED = frozenset({"metadata"})


@cache
def allowed_fields(route: Route) -> frozenset[str]:
    """The body fields of a route, `user` included: it names the charged user under the master key."""
    if route is Route.MESSAGES:
        return ANTHROPIC_FIELDS | _OURS
    from openai.types import completion_create_params, embedding_create_params
    from openai.types.chat import completion_create_params as chat_params
    from openai.types.responses import response_create_params

    types: dict[Route, tuple[Any, ...]] = {
        Route.CHAT: (
            chat_params.CompletionCreateParamsNonStreaming,
            chat_params.CompletionCreateParamsStreaming,
        ),
        Route.COMPLETIONS: (
            completion_create_params.CompletionCreateParamsNonStreaming,
            completion_create_params.CompletionCreateParamsStreaming,
        ),
        Route.EMBEDDINGS: (embedding_create_params.EmbeddingCreateParams,),
        Route.RESPONSES: (
            response_create_params.ResponseCreateParamsNonStreaming,
            response_create_params.ResponseCreateParamsStreaming,
        ),
    }
    # A TypedDict's keys include those of its bases.
    names = frozenset(name for type_ in types[route] for name in type_.__required_keys__ | type_.__optional_keys__)
    return names | _COMMON_EXTRAS | _OURS


def check_fields(route: Route, body: Mapping[str, Any], extras: Collection[str] = ()) -> None:
    """Raise `BadRequest` for a field that the route does not have, for one within `tools` or `stream_options` that
    steers LiteLLM, or for a `stream` that is neither true nor false. `extras` are fields that the operator allows.
    """
    unknown = body.keys() - allowed_fields(route)
    if unknown and extras:
        unknown = unknown.difference(extras)
    name = min(unknown) if unknown else nested_control_field(body)
    if name is not None:
        raise BadRequest(f"The field '{name[:100]}' is not accepted on this route. Remove it.", param=name[:100])
    if body.get("background") not in (None, False):
        message = (
            "'background' has the provider work on when nobody waits for it, so what it uses could not be counted. "
            "Leave it out, and stream an answer that takes long."
        )
        raise BadRequest(message, param="background")
    if not isinstance(body.get("stream", False), bool | None):
        raise BadRequest("'stream' must be true or false.", param="stream")
