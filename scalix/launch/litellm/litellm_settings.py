"""What becomes of each setting of LiteLLM's `litellm_settings`."""

from scalix.launch.litellm.kinds import Table, table

LITELLM_SETTINGS: Table = table("""
translated: scalix.fallbacks, under which tier, budget and price of each model hold
    fallbacks default_fallbacks context_window_fallbacks content_policy_fallbacks
translated: what a model does not know is left out, the output cap never
    drop_params
translated: scalix.retries.same_model
    num_retries
translated: scalix.retries.models
    max_fallbacks
translated: scalix.cooldown.failures
    allowed_fails
translated: spend_usd: of each tier that has none for that window
    max_end_user_budget max_internal_user_budget internal_user_budget_duration default_max_internal_user_budget
translated: its budget: spend_usd: of each tier that has none for that window
    default_internal_user_params
translated: what a key has that is made without it
    default_key_generate_params
translated: what no key that is made may exceed
    upperbound_key_generate_params
refused: would change what is charged beside the gateway's own prices | remove it, and write the prices under \
scalix.prices.models, or a markup for each tier under scalix.prices.markup
    cost_discount_config cost_margin_config
refused: would serve another model than the one that was admitted and is charged | write \
router_settings.model_group_alias, whose targets' tiers and prices hold
    model_alias_map
honoured
    callbacks success_callback failure_callback service_callback input_callback audit_log_callbacks callback_settings
    pre_call_rules post_call_rules custom_provider_map guardrails global_prompt_directory global_bitbucket_config
    global_gitlab_config credential_list
    request_timeout modify_params api_base api_key api_version headers organization project email token vertex_project
    vertex_location vertex_ai_safety_settings ssl_verify ssl_certificate ssl_security_level ssl_ecdh_curve force_ipv4
    http2 aiohttp_trust_env use_aiohttp_transport disable_aiohttp_transport disable_aiohttp_trust_env use_litellm_proxy
    suppress_debug_info filter_invalid_headers use_chat_completions_url_for_anthropic_messages
    route_all_chat_openai_to_responses user_url_validation user_url_allowed_hosts provider_url_destination_allowed_hosts
    ai21_key aleph_alpha_key amazon_nova_api_key anthropic_key azure_key baseten_key bytez_key clarifai_key
    cloudflare_api_key cohere_key cometapi_key databricks_key datarobot_key gdc_api_base gdc_key gigachat_key
    gradient_ai_api_key groq_key heroku_key huggingface_key inception_key infinity_key lemonade_key llama_api_key
    maritalk_key nebius_key nlp_cloud_key novita_api_key ollama_key openai_key openai_like_key openrouter_key
    ovhcloud_key predibase_key predibase_tenant_id proxy_auth replicate_key sap_service_key snowflake_key
    togetherai_api_key vercel_ai_gateway_key wandb_key xai_key
    add_function_to_prompt add_user_information_to_llm_headers anthropic_beta_headers_url anthropic_prompt_caching_ttl
    anthropic_sse_ping_interval_seconds apply_search_free_tier bedrock_neutralize_orphaned_tool_blocks
    bedrock_request_metadata_fields check_provider_endpoint common_cloud_provider_auth_params custom_prompt_dict
    disable_add_prefix_to_prompt disable_add_transform_inline_image_block
    disable_anthropic_gemini_context_caching_transform disable_copilot_system_to_assistant disable_hf_tokenizer_download
    disable_stop_sequence_limit disable_token_counter enable_anthropic_prompt_caching enable_azure_ad_token_refresh
    enable_gemini_default_thinking_level_low enable_json_schema_validation enable_model_config_credential_overrides
    enable_preview_features include_cost_in_streaming_usage openai_system_messages_first reasoning_auto_summary
    safe_memory_mode sse_keepalive_ping_interval_seconds strip_anthropic_total_tokens model_group_settings
    argilla_batch_size argilla_transformation_object aws_sqs_callback_params cold_storage_custom_logger
    datadog_llm_observability_params datadog_params datadog_use_v1 disable_add_user_agent_to_request_tags
    disable_streaming_logging dynamodb_table_name error_logs extra_spend_tag_headers forward_traceparent_to_llm_provider
    gcs_pub_sub_use_v1 generic_api_use_v1 generic_logger_headers google_moderation_confidence_threshold json_logs
    langfuse_default_tags langfuse_enable_update_trace_keys langsmith_batch_size llamaguard_model_name
    llamaguard_unsafe_content_categories llm_guard_mode log_auth_failure_key_identity newrelic_params
    openai_moderations_model_name otel_tenant_destination_mode output_parse_pii pointfive_params
    presidio_ad_hoc_recognizers presidio_logging_only prompt_injection_params azure_content_safety_params
    redact_messages_in_exceptions redact_user_api_key_info request_correlation_in_logs s3_audit_callback_params
    s3_callback_params skip_system_message_in_guardrail skip_tool_message_in_guardrail
    standard_logging_payload_excluded_fields turn_off_message_logging zerobus_params banned_keywords_list
    blocked_user_list
without effect: answers are not cached: a cache would have to be kept apart for each user
    cache cache_params caching caching_with_models default_in_memory_ttl default_redis_ttl
    default_redis_batch_cache_expiry enable_caching_on_provider_specific_optional_params enable_redis_auth_cache
    force_redis_hash_tag_grouping
without effect: no budget over everything is kept; the nearest is spend_usd: of each tier in scalix.tiers
    max_budget budget_duration budget_rollover budget_reset_time budget_exceeded_status_code
    budget_exceeded_throttle_percentage
without effect: the nearest is spend_usd: of each tier in scalix.tiers
    max_user_budget max_end_user_budget_id default_soft_budget tag_budget_config priority_reservation
    priority_reservation_settings default_key_max_budget_alert_emails max_ui_session_budget
without effect: teams are not kept; the nearest are tiers, in scalix.tiers
    default_team_params default_team_settings
without effect: keys are the gateway's own
    key_generation_settings key_alias_pattern enable_key_alias_format_validation scim_admin_group scim_upsert_user
    validate_end_user_id_in_db overwrite_user_with_key_hash
without effect: set LITELLM_LOG_LEVEL=DEBUG for more in the log
    set_verbose log_level logging verbose
without effect: it would write prompts, keys and answers where nobody bounds them
    log_raw_request_response log_client_error_tracebacks expose_router_debug_in_errors
without effect: /metrics is the gateway's own (docs/usage.md)
    prometheus_deployment_and_latency_caller_identity prometheus_emit_input_sequence_length_label
    prometheus_emit_rate_limit_labels prometheus_emit_stream_label prometheus_end_user_metrics_cleanup_interval_seconds
    prometheus_end_user_metrics_max_series_per_metric prometheus_end_user_metrics_ttl_seconds prometheus_exclude_labels
    prometheus_exclude_metrics prometheus_initialize_budget_metrics prometheus_latency_buckets
    prometheus_metrics_cleanup_interval_seconds prometheus_metrics_config prometheus_metrics_max_series_per_metric
    prometheus_metrics_ttl_seconds prometheus_user_budget_label_include_email_alias custom_prometheus_metadata_labels
    custom_prometheus_tags disable_end_user_cost_tracking_prometheus_only enable_end_user_cost_tracking_prometheus_only
    require_auth_for_metrics_endpoint
without effect: the gateway keeps its own ledger and prices
    store_audit_logs disable_end_user_cost_tracking global_disable_no_log_param allow_dynamic_callback_disabling
    block_requests_for_models_without_pricing model_cost model_cost_map_url
without effect: only the routes of docs/routes.md are served
    responses mcp_aliases mcp_semantic_tool_filter mcp_tool_search public_agent_groups public_mcp_hub_strict_whitelist
    public_mcp_servers public_model_groups public_model_groups_links public_skills_index blog_posts_url
    autorouter_presets_url require_managed_files enable_loadbalancing_on_batch_endpoints
    disable_vertex_batch_output_transformation vector_store_index_registry vector_store_registry
    vector_store_search_failure_mode websearch_interception_params code_interpreter_interception_params
    compression_interception_params agent_search_embedding_model skill_search_embedding_model
    logged_real_time_event_types gemini_live_defer_setup
without effect: retries are counted by the gateway; the nearest is scalix.retries.same_model
    num_retries_per_request retry
without effect: it belongs to programs that call LiteLLM's library; write the nearest under litellm_params of a model
    max_tokens model_fallbacks longer_context_model_fallback_dict network_mock use_client return_response_headers
""")
