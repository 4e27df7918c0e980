"""Body fields by which a client could steer LiteLLM: another model, address, key or price, hooks off, no record."""

from collections.abc import Collection, Mapping
from typing import Any

import re2

# LiteLLM reads these from a body (`litellm.types.utils.all_litellm_params` and its proxy). They may not be configured
# as extra fields either, nor stand in a tool.
CONTROL_FIELDS = frozenset(
    {
        *("model", "models", "messages", "input", "prompt", "user", "stream", "stream_options"),
        *("api_base", "api_key", "api_version", "base_url", "base_model", "custom_llm_provider", "deployment_id"),
        *(
            "organization",
            "project",
            "region_name",
            "client",
            "shared_session",
            "ssl_verify",
            "timeout",
            "stream_timeout",
        ),
        *("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "context_window_fallback_dict"),
        *(
            "stream_timeout",
            "disable_fallbacks",
            "fallback_depth",
            "max_fallbacks",
            "num_retries",
            "max_retries",
            "retry_policy",
        ),
        *("mock_response", "mock_tool_calls", "mock_timeout", "mock_delay", "mock_testing_fallbacks"),
        *("extra_body", "extra_headers", "extra_query", "headers", "default_headers", "metadata", "tags"),
        *("no-log", "no_log"),
        *("input_cost_per_token", "output_cost_per_token", "input_cost_per_second", "output_cost_per_second"),
        *("model_info", "model_config", "model_list", "user_config", "router", "callbacks", "success_callback"),
        *("failure_callback", "logger_fn", "guardrails", "guardrail_config", "disable_global_guardrails", "policies"),
        *("cache", "caching", "cache_key", "cached_content", "cachedContent", "prompt_id", "prompt_variables"),
        *("prompt_version", "prompt_label", "hooks", "proxy_server_request", "secret_fields", "user_api_key_dict"),
        *("allowed_model_region", "allowed_openai_params", "additional_drop_params", "drop_params", "modify_params"),
        *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_role_name", "aws_region_name"),
        *("aws_web_identity_token", "aws_sts_endpoint", "aws_bedrock_runtime_endpoint", "vertex_credentials"),
        *("vertex_project", "vertex_location", "azure_ad_token", "azure_ad_token_provider", "azure_endpoint"),
        *("s3_callback_params", "langfuse_host", "langfuse_public_key", "langfuse_secret_key", "search_parameters"),
        *("vector_store_ids", "mcp_servers", "configurable_clientside_auth_params"),
    }
)
# What the rest of LiteLLM's own are made of: prices, credentials, addresses, routing, its own limits and loggers.
_CONTROL = (
    r"(?:^(?:litellm|chatgpt_|mock_|aws_|azure|vertex_|s3_|gcs_|dd_|langfuse|langsmith|arize_|anthropic_|openai_"
    r"|newrelic|posthog|signoz|wandb|weave|humanloop|fireworks_|use_|enable_|disable_|allow_|client_|default_|max_(agentic|budget|file|parallel)"
    r"|model_|prompt_|preset_|provider_|stream_|tag_|x-|_)"
    r"|cost|pricing|uplift|api_key|secret|credential|endpoint|budget|timeout|router|routing|retry|callback|logg?er)"
)
_CONTROL_PARTS = re2.compile(_CONTROL)
_CONTROL_LINE = re2.compile(rf"(?im)^.*{_CONTROL}.*$")
_CONTROL_REST = frozenset(
    {
        *("acompletion", "aembedding", "aimg_generation", "allm_passthrough_route", "atext_completion", "async_call"),
        *("assistant_continue_message", "user_continue_message", "attempted_targets", "bedrock_tags", "bos_token"),
        "chatgpt_auth_file",
        *("eos_token", "caching_groups", "complete_response", "completion_call_id", "cooldown_time"),
        *("custom_prompt_dict", "data_residency", "ensure_alternating_roles", "fastest_response", "final_prompt_value"),
        *("hf_model_name", "id", "itpm", "otpm", "rpm", "tpm", "keepalive_seconds", "log_client_error_tracebacks"),
        *("merge_reasoning_content_in_choices", "order", "output_vector_size", "regional_processing_uplift_multiplier"),
        *("roles", "rust", "search_tool_name", "self", "silent_model", "supports_system_message", "tenant_id"),
        *("text_completion", "ttl", "turn_off_message_logging", "verbose", "weight"),
    }
)
# An address, a key or a model in a tool would be called with the operator's credentials, beside the caller's limits.
_NEVER_IN_TOOLS = frozenset(
    {"api_base", "api_key", "base_url", "custom_llm_provider", "extra_headers", "extra_body", "fallbacks"}
)


_LONGEST_PATH = 200


def is_control_field(name: str) -> bool:
    """Whether a body field of this name must never come from a client as an extra one."""
    return name in CONTROL_FIELDS or name in _CONTROL_REST or _CONTROL_PARTS.search(name.lower()) is not None


def control_field_among(names: Collection[str]) -> str | None:
    """One of `names` that steers, or the line of it that does; `None` if there is none. Names may be many, and long:
    they are searched all at once."""
    known = next((name for name in names if name in CONTROL_FIELDS or name in _CONTROL_REST), None)
    if known is not None or not names:
        return known
    text = "\n".join(names)
    found = _CONTROL_LINE.search(text)
    return None if found is None else found.group()


def nested_control_field(body: Mapping[str, Any]) -> str | None:
    """The path of the first field within `tools` that steers; `None` if there is none.

    Never raises on any JSON value.
    """
    return _steering_tool("tools", body.get("tools"))


def _steering_tool(where: str, tools: Any) -> str | None:
    for index, tool in enumerate(tools if isinstance(tools, list) else ()):
        name = _steering(tool)
        if name is not None:
            return f"{where}[{index}].{name}"
        if isinstance(tool, dict) and isinstance(tool.get("tools"), list):  # a namespace
            found = _steering_tool(f"{where}[{index}].tools"[:_LONGEST_PATH], tool["tools"])
            if found is not None:
                return found
    return None


def _steering(tool: Any) -> str | None:
    if not isinstance(tool, dict):
        return None
    kind = tool.get("type")
    # Anthropic's advisor asks a second model of the client's choice; LiteLLM does so itself for other providers.
    if isinstance(kind, str) and kind.startswith(("advisor", "litellm")):
        return "type"
    for name in map(str, tool):
        if name in _NEVER_IN_TOOLS or name.startswith("litellm"):
            return name
    # LiteLLM takes this for its own MCP gateway, with the operator's servers and their credentials.
    address = tool.get("server_url")
    if isinstance(address, str) and not address.lower().startswith("https://"):
        return "server_url"
    return None
