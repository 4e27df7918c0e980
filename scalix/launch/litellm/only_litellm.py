"""The settings that only LiteLLM's own pipeline honours: with one of them a model is not served by the direct engine.

All other honoured settings hold on both engines: they say what LiteLLM builds of a request, which it does for both, or
how its clients connect.
"""

from collections.abc import Mapping

ONLY_LITELLM: Mapping[str, tuple[str, ...]] = {
    "": ("guardrails", "policies", "policy_attachments", "prompts"),
    "litellm_settings": (
        # who is told of a call, or may change it
        *("callbacks", "success_callback", "failure_callback", "service_callback", "input_callback"),
        *("pre_call_rules", "post_call_rules", "guardrails"),
        *("global_prompt_directory", "global_bitbucket_config", "global_gitlab_config"),
        # what it adds to a request before its SDK has it
        *("modify_params", "add_user_information_to_llm_headers", "forward_traceparent_to_llm_provider"),
        *("model_group_settings", "enable_model_config_credential_overrides", "use_litellm_proxy"),
        *("route_all_chat_openai_to_responses", "enable_anthropic_prompt_caching"),
        # what it does with an answer
        *("include_cost_in_streaming_usage", "enable_json_schema_validation", "sse_keepalive_ping_interval_seconds"),
        # clients of another kind
        *("ssl_verify", "ssl_certificate", "http2", "disable_aiohttp_transport"),
    ),
    "router_settings": (
        *("enable_tag_filtering", "default_max_parallel_requests", "optional_pre_call_checks"),
        "model_group_affinity_config",
    ),
    "general_settings": ("alerting", "otel", "tracing"),
    "litellm_params": (
        *("tools", "max_parallel_requests", "litellm_credential_name", "mock_response", "mock_timeout"),
        *("guardrails", "prompt_id", "prompt_environment", "prompt_label", "prompt_variables", "prompt_version"),
        *("cache_control_injection_points", "enable_prompt_caching", "context_management", "litellm_system_prompt"),
        *("merge_reasoning_content_in_choices", "enable_json_schema_validation", "keepalive_seconds"),
        *("allow_client_keepalive_override", "provider_affinity_header", "use_litellm_proxy"),
        # clients of another kind, and tokens that are renewed
        *("ssl_verify", "client_certificate", "use_xai_oauth", "chatgpt_auth_file"),
        *("azure_ad_token", "tenant_id", "client_id", "client_secret", "azure_username", "azure_password"),
        *("openai_identity_provider_id", "openai_identity_token_file", "openai_service_account_id"),
        *("callbacks", "success_callback", "failure_callback"),
    ),
}
"""By the section that they stand in, in the order of asking."""
