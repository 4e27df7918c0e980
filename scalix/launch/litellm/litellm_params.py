"""What becomes of each key of an entry of `model_list`, and of its `litellm_params`."""

from scalix.launch.litellm.kinds import Table, table

ENTRY: Table = table("""
honoured
    model_name litellm_params model_info
""")

LITELLM_PARAMS: Table = table("""
honoured
# who is called, and with which credentials
    api_base api_key api_version organization headers extra_headers default_headers litellm_credential_name region_name
    client_id client_secret tenant_id azure_ad_token azure_password azure_scope azure_username aws_access_key_id
    aws_bedrock_project_id aws_bedrock_runtime_endpoint aws_external_id aws_profile_name aws_region_name aws_role_name
    aws_secret_access_key aws_session_name aws_session_tags aws_session_token aws_sts_endpoint aws_web_identity_token
    vertex_credentials vertex_location vertex_project vertex_ai_project vertex_ai_location vertex_ai_credentials
    watsonx_region_name deployment_id ssl_verify use_xai_oauth chatgpt_auth_file
    anthropic_disable_workload_identity_federation anthropic_federation_rule_id anthropic_federation_workspace_id
    anthropic_identity_source anthropic_identity_token anthropic_identity_token_file anthropic_issuer_audience
    anthropic_issuer_signing_key_ref anthropic_issuer_subject anthropic_issuer_ttl_seconds anthropic_issuer_url
    anthropic_keycloak_auth_method anthropic_keycloak_client_id anthropic_keycloak_client_secret_ref
    anthropic_keycloak_scope anthropic_keycloak_token_url anthropic_organization_id anthropic_service_account_id
    openai_identity_provider_id openai_identity_token_file openai_service_account_id
# how it is called
    model custom_llm_provider base_model timeout stream_timeout request_timeout timeout_by_service_tier
    stream_timeout_by_service_tier max_retries max_parallel_requests weight order tags tag_regex
    provider_affinity_header additional_drop_params allowed_openai_params use_chat_completions_api use_litellm_proxy
    merge_reasoning_content_in_choices keepalive_seconds allow_client_keepalive_override fireworks_forward_user_id
    bedrock_tags mock_response mock_timeout supports_system_message hf_model_name roles bos_token eos_token
    initial_prompt_value final_prompt_value user_continue_message assistant_continue_message ensure_alternating_roles
    enable_prompt_caching cache_control_injection_points guardrails prompt_id prompt_environment prompt_label
    prompt_variables prompt_version enable_json_schema_validation rust data_residency provider_specific_header
    litellm_system_prompt context_management include_server_side_tool_invocations
    disable_add_transform_inline_image_block custom_prompt_dict
# fields of a request's body
    temperature top_p top_k min_p frequency_penalty presence_penalty repetition_penalty stop seed logit_bias logprobs
    top_logprobs response_format tools tool_choice functions function_call parallel_tool_calls reasoning_effort thinking
    verbosity service_tier modalities audio prediction store prompt_cache_key prompt_cache_retention safety_identifier
    web_search_options dimensions encoding_format extra_body keep_alive num_ctx
# where is logged
    turn_off_message_logging langfuse_environment langfuse_host langfuse_prompt_version langfuse_public_key
    langfuse_secret langfuse_secret_key langfuse_span_scope langsmith_api_key langsmith_base_url langsmith_project
    langsmith_sampling_rate langsmith_tenant_id arize_api_key arize_error_sampling_rate arize_otlp_protocol
    arize_space_id arize_space_key arize_success_sampling_rate dd_agent_host dd_agent_port dd_api_key dd_site
    gcs_bucket_name gcs_path_service_account humanloop_api_key newrelic_api_key newrelic_region posthog_api_key
    posthog_api_url signoz_ingestion_endpoint signoz_ingestion_key wandb_api_key weave_project_id
    litellm_disabled_callbacks
translated: api_base
    base_url
translated: model_info
    metadata
translated: the most that the model may answer, as model_info.max_output_tokens
    max_tokens max_completion_tokens max_output_tokens
translated: as litellm_settings.drop_params, for this deployment
    drop_params
without effect: of a wildcard no limit is kept (of others rpm and tpm are: docs/deployments.md); the nearest are \
requests: and tokens: of each tier in scalix.tiers
    rpm tpm itpm otpm default_api_key_tpm_limit default_api_key_rpm_limit
without effect: no budget of a deployment is kept; the nearest is spend_usd: of each tier in scalix.tiers
    max_budget budget_duration
without effect: it would serve other models, past tier, budget and price; the nearest is scalix.fallbacks
    fallbacks context_window_fallback_dict max_fallbacks model_list model_alias_map silent_model auto_router_config
    auto_router_config_path auto_router_default_model auto_router_embedding_model auto_router_max_input_chars
    auto_router_model_compression auto_router_routing_compression adaptive_router_config adaptive_router_default_model
    complexity_router_config complexity_router_default_model quality_router_config quality_router_default_model
without effect: retries are counted by the gateway; the nearest is scalix.retries.same_model
    num_retries retry_policy retry_strategy
without effect: the nearest is scalix.cooldown.seconds
    cooldown_time
without effect: answers are not cached: a cache would have to be kept apart for each user
    cache caching caching_groups cache_key preset_cache_key ttl
without effect: clients say it in each request, so that what they use is counted
    n best_of stream stream_options user messages
without effect: clients can't steer routing, addresses or keys of providers
    configurable_clientside_auth_params
without effect: set LITELLM_LOG_LEVEL=DEBUG for more in the log
    verbose litellm_request_debug
without effect: files, batches and vector stores are not served
    max_file_size_mb aws_batch_role_arn bucket_name s3_access_key_id s3_bucket_name s3_bucket_owner s3_encryption_key_id
    s3_endpoint_url s3_output_bucket_name s3_region_name s3_secret_access_key vector_store_id vector_bucket_name
    embedding_model index_name milvus_db_name milvus_partition_names milvus_text_field output_vector_size
    valkey_embedding_field valkey_host valkey_password valkey_port valkey_ssl valkey_text_field use_in_pass_through
    search_tool_name
without effect: write it beside litellm_params
    model_info
""")
