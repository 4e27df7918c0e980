"""What LiteLLM and OpenAI's SDK load when they start or are first asked: half of what a worker computes until it is
ready, and memory that forked workers can share."""

import importlib
from contextlib import suppress

from scalix.litellm_adapter.seam_checks import found_at

_MODULES = (
    "openai.resources",
    "openai.lib.streaming.chat",
    "litellm.proxy._experimental.mcp_server.mcp_server_manager",
    "litellm.proxy.anthropic_endpoints.endpoints",
    "litellm.proxy.pass_through_endpoints.llm_passthrough_endpoints",
    "litellm.proxy.policy_engine.init_policies",
    "litellm.proxy.hooks.mcp_semantic_filter",
    "litellm.integrations.websearch_interception.handler",
    "litellm.integrations.otel.logger",
    "litellm.integrations.otel.presets",
)
# Of Pydantic's, which builds their validators when they are first used.
_MODELS = (
    "litellm.proxy._types:ConfigGeneralSettings",
    "litellm.proxy._types:LiteLLM_JWTAuth",
    "litellm.proxy._types:UserAPIKeyAuth",
    "litellm.types.router:Deployment",
    "litellm.types.utils:ModelResponse",
    "litellm.types.utils:ModelResponseStream",
    "litellm.types.llms.anthropic:AnthropicResponse",
    "openai.types.chat:ChatCompletion",
    "openai.types.chat:ChatCompletionChunk",
    "openai.types.chat:ParsedChatCompletion",
)


def load_late_parts() -> None:
    """Load them now. What has gone, or can't be loaded alone, is left to who asks for it."""
    for name in _MODULES:
        with suppress(Exception):
            importlib.import_module(name)
    for name in _MODELS:
        with suppress(Exception):
            found_at(name).model_rebuild()
